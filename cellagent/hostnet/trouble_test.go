package hostnet

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wrapNft puts a shell script before the nft program. It finds the script for
// nft in $IN, the program in $NFT, and a directory to remember things in $DIR.
func wrapNft(t *testing.T, script string) (dir string) {
	t.Helper()
	program, err := exec.LookPath("nft")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	text := "#!/bin/sh\nDIR=" + dir + " NFT=" + program + " IN=" + dir + "/in.$$\ncat > $IN\n" + script + "\nexec $NFT \"$@\" < $IN\n"
	if err := os.WriteFile(filepath.Join(dir, "nft"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

// TestAnswersComeBack when the kernel can give them again, and one that never
// can is asked without anything changing.
func TestAnswersComeBack(t *testing.T) {
	p := newPlace(t)
	// The kernel of the tests may have no reject on bridges: take it out.
	dir := wrapNft(t, `if [ ! -e $DIR/able ] && grep -q 'tcp reset' $IN && grep -q 'table bridge' $IN; then
		echo 'Error: Could not process rule: Cannot allocate memory' >&2; exit 1; fi
	if grep -q 'table bridge' $IN; then sed -i '/reject with/d' $IN; fi`)
	p.ensure(plain())
	if again := p.ensure(plain()); len(again) != 0 || !strings.Contains(p.host.Report().Problem, "Cannot allocate memory") {
		t.Errorf("while it cannot, it changes %q and reports %+v", again, p.host.Report())
	}
	p.must(os.WriteFile(filepath.Join(dir, "able"), nil, 0o600))
	if changed := p.ensure(plain()); len(changed) != 1 || p.host.Report().Problem != "" {
		t.Errorf("when it can again: changed %q, report %+v", changed, p.host.Report())
	}
	if got := p.sh("nft list chain bridge weft answer"); !strings.Contains(got, "muted_cell") {
		t.Errorf("the answers are not back:\n%s", got)
	}
	if again := p.ensure(plain()); len(again) != 0 || p.host.Report().Repairs != 0 {
		t.Errorf("then it changes %q, report %+v", again, p.host.Report())
	}
}

// TestHangingNftHoldsUpNobodyWhoAsks: the status has an end, too.
func TestHangingNftHoldsUpNobodyWhoAsks(t *testing.T) {
	p := newPlace(t)
	dir := wrapNft(t, "touch $DIR/runs; exec sleep 20")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	ended := make(chan error, 1)
	go func() { // wherever: it gets no further than nft
		ended <- p.host.SetMappings(ctx, plain())
	}()
	for {
		if _, err := os.Stat(filepath.Join(dir, "runs")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	_ = p.host.Report()
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := p.host.InStep(short); !errors.Is(err, errBusy) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("a killed nft is no error")
	}
}
