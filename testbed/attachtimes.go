package testbed

import "time"

// AttachTimes plugs n containers of an app in and out, one after the other, and
// returns how long ADD and DEL took.
func (c *Cell) AttachTimes(app string, n int) (add, del []time.Duration) {
	c.bed.Helper()
	took := func(step func()) time.Duration {
		start := time.Now()
		step()
		return time.Since(start)
	}
	for range n {
		var x *Container
		add = append(add, took(func() { x = c.Run(app) }))
		del = append(del, took(func() { c.bed.must(x.Detach()) }))
		x.Stop()
	}
	return add, del
}
