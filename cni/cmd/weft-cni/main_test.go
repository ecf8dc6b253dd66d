package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft-cni": main})
}

// TestByHand runs the scripts of testdata: what people are told who run it.
func TestByHand(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}
