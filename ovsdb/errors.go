package ovsdb

import "errors"

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotConnected: ovsdb-server is away.
	ErrNotConnected = errors.New("not connected to ovsdb-server")
	// ErrForeignBridge: the bridge exists and is not this cell's.
	ErrForeignBridge = errors.New("bridge belongs to somebody else")
	// ErrNoBridge: there is no bridge of that name.
	ErrNoBridge = errors.New("no such bridge")
	// ErrPortExists: a port of that name exists already.
	ErrPortExists = errors.New("port exists already")
	// ErrOthersPort: the port is ours, and of another container or another of its
	// interfaces.
	ErrOthersPort = errors.New("port belongs to another container")
	// ErrNoPort: there is no port of ours of that name.
	ErrNoPort = errors.New("no such port")
	// ErrForeignPort: the port exists and is not ours.
	ErrForeignPort = errors.New("port belongs to somebody else")
	// ErrNotReady: the agent has refused the port; the text is its reason.
	ErrNotReady = errors.New("refused by the cell agent")
	// ErrNotYet: the agent cannot connect the port now, and may be able to later;
	// the text is its reason.
	ErrNotYet = errors.New("not now, says the cell agent")
)
