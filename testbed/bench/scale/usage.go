package scale

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// clockTick is the unit of CPU time in /proc/PID/stat, in seconds (USER_HZ).
const clockTick = 0.01

// usage is what a process has taken so far, and takes now.
type usage struct {
	CPU  float64 // seconds, user and system
	RSS  float64 // MiB
	Peak float64 // MiB, the most at any moment
}

// usageOf reads what the kernel knows of a process (proc(5)).
func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	const user, system = 11, 12 // counted after the name
	if len(fields) <= system {
		return u, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	for _, i := range []int{user, system} {
		ticks, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return u, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		u.CPU += ticks * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		field, text, _ := strings.Cut(line, ":")
		if field != "VmRSS" && field != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 64)
		if err != nil {
			return u, fmt.Errorf("/proc/%d/status: %w", pid, err)
		}
		if field == "VmRSS" {
			u.RSS = kib / 1024
		} else {
			u.Peak = kib / 1024
		}
	}
	return u, nil
}
