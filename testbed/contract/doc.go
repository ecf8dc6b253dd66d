// Package contract holds the contract with Cloud Foundry's clients as tests: a
// real controller between stand-ins for UAA and Cloud Controller, on each
// database, asked over HTTP as an unmodified client would. It has no code but
// tests. One file per section of the contract; start reading at bed_test.go.
package contract
