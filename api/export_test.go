package api

import "time"

// SetSilence shortens how long a stream may be silent.
func (c *AgentClient) SetSilence(d time.Duration) { c.silence = d }
