// Package policyapi measures what clients of the policy API wait for, at the
// size for which Cloud Foundry's own policy server was published: 20,000 apps
// and 60,000 policies. It drives a real weft-controller process over HTTP on
// loopback, with its database on the same machine, and counts the memory of
// that process.
//
// Start reading at Measure.
package policyapi
