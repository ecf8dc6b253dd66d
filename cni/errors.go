package cni

import (
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"
)

// Error codes of ours (the CNI specification leaves 100 and up to plugins).
const (
	CodeLease     uint = 100 // the cell's subnet file is not what the agent writes
	CodeExhausted uint = 101 // every address of the cell's lease is taken
	CodeDuplicate uint = 102 // the container has this interface already
	CodeBridge    uint = 103 // the bridge is missing or somebody else's
	CodeRefused   uint = 104 // the cell agent gave a reason why not
	CodeAttach    uint = 105 // the kernel or the switch refused a step of ADD
	CodeCheck     uint = 106 // CHECK found that something is not as ADD left it
	CodeTaken     uint = 107 // the address that was asked for is another container's
)

// failure makes an error as runtimes show it: what happened, and what to do.
func failure(code uint, msg, todo string) *types.Error { return types.NewError(code, msg, todo) }

// coded keeps an error that has a code, and gives another one this code and what
// to do.
func coded(code uint, err error, todo string) *types.Error {
	var known *types.Error
	if errors.As(err, &known) {
		return known
	}
	return failure(code, err.Error(), todo)
}

// What to do about errors of which more is not known.
const (
	lookAtCell  = "look at the cell with weft doctor, and try again"
	callAgain   = "look at the cell with weft doctor, and call it again"
	freeDataDir = "see that dataDir is writable and its disk has room, and call DEL again"
	addAnew     = "DEL and ADD the container"
	correctArgs = "correct CNI_ARGS"
	validJSON   = "correct it: the document must have the form that CNI's specification and docs/cni.md describe"
)

// invalid refuses a key of the network configuration.
func invalid(field string, value any, must string) *types.Error {
	return failure(types.ErrInvalidNetworkConfig, fmt.Sprintf("%s %s: %s", field, quoted(value), must),
		"correct it in the network configuration of type weft-cni")
}

// quoted shows strings in quotes and everything else plainly.
func quoted(value any) string {
	if s, ok := value.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(value)
}
