// Package e2e holds the promises of the whole line, one file each, as short
// plays on one bed of three cells that all of them share. They run in the lab:
// `go test ./testbed/e2e` boots it where the machine's kernel has no
// openvswitch. Start reading at policy_test.go.
package e2e
