// Package crash holds what must be true whatever dies, and whenever: nothing of
// a container is left behind that DEL or GC does not find, and no address is
// given out twice. weft-cni is killed, or held while somebody else is, right
// after each of its steps, on a cell that is all real.
//
// TestMain is in plugin_test.go: the test's own program is the weft-cni that
// dies.
package crash
