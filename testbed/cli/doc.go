// Package cli runs the weft command against a whole controller with its
// database, as the scripts in testdata say. What the command itself promises is
// tested beside it, in api/cmd/weft; here is what needs both.
package cli
