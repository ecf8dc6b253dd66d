// Package flows is the answer to one question: what should this cell's flow
// table be? It is pure: no I/O, clock, goroutine or randomness.
package flows
