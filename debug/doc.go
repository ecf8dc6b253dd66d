// Package debug shows what a program is busy with to those who are on its host:
// Go's profiles and the runtime's metrics. Start at Listen.
package debug
