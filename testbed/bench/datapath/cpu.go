package datapath

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// The CPU on which something measured runs. Where the scheduler puts it else
// decides more than any datapath does: to wake the other emulated CPU takes
// as long as the rest of a round trip, and varies twofold.
const (
	// workCPU has both ends of round trips and short connections, and with them
	// the datapath, which works on the sender's time: what is compared is what
	// their packets cost altogether. The other CPU is left to ovs-vswitchd, the
	// agents and the Go runtime.
	workCPU = 0
)

// sinkCPU has the receiving end of a stream, so that the sender's, with the
// datapath, is the bottleneck. Where there is but one CPU it has both.
var sinkCPU = min(1, runtime.NumCPU()-1)

// work calls f on a thread that is in the container's namespace and on the
// CPU; processes that f starts inherit both.
func (e end) work(cpu int, f func() error) error {
	return e.in(func() error {
		unpin, err := pin(cpu)
		if err != nil {
			return err
		}
		defer unpin()
		return f()
	})
}

// pin keeps the calling thread, which must be locked, on the CPU until the
// returned function is called.
func pin(cpu int) (unpin func(), err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read the thread's CPUs: %w", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("keep the thread on CPU %d: %w", cpu, err)
	}
	return func() { unix.SchedSetaffinity(0, &before) }, nil
}

// pinForGood makes the calling goroutine a thread on workCPU. It panics where
// pin fails, which is where everything measured would have failed before.
func pinForGood() {
	runtime.LockOSThread()
	if _, err := pin(workCPU); err != nil {
		panic(fmt.Sprintf("datapath: %v", err))
	}
}
