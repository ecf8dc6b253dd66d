package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weft-sdn/weft/api"
)

// TestDatabaseCommands: an installation is migrated, backed up while it runs,
// and restored when it does not.
func TestDatabaseCommands(t *testing.T) {
	binary, dir := initialized(t)
	config, backup := filepath.Join(dir, "weft-controller.yaml"), filepath.Join(dir, "backup")
	run := func(want string, args ...string) {
		t.Helper()
		out, err := exec.Command(binary, append(args, "--config", config)...).CombinedOutput()
		text, fails := strings.CutPrefix(want, "fails: ")
		if !strings.Contains(string(out), text) || (err != nil) != fails {
			t.Errorf("%s: %v, want %s; it says:\n%s", args[0], err, want, out)
		}
	}
	stop := func(p *process) {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-p.ended
	}
	run("fails: no such file", "backup", backup)
	run("made the schema, up to step 0006", "migrate")
	run("nothing to do: the schema is at step 0006", "migrate")

	p := launch(t, binary, dir)
	if _, err := p.client.AddPolicies(t.Context(), one("cats"), api.Wait{}); err != nil {
		t.Fatal(err)
	}
	run("copied the database to "+backup, "backup", backup)
	run("fails: "+backup+" exists", "backup", backup)
	if _, err := p.client.RemovePolicies(t.Context(), one("cats"), api.Wait{}); err != nil {
		t.Fatal(err)
	}
	run("fails: another weft-controller has it open", "restore", backup)
	run("fails: another weft-controller has it open", "migrate")
	stop(p)

	run("fails: is no backup", "restore", config)
	run("the database that was there is kept as "+filepath.Join(dir, "weft.db."), "restore", backup)
	p = launch(t, binary, dir)
	list, err := p.client.Policies(t.Context(), api.Filter{})
	if err != nil || len(list.Policies) != 1 || list.Policies[0].Source.ID != "cats" {
		t.Errorf("after the restore: %+v, %v", list, err)
	}
	stop(p)
	run("fails: backup and restore are for SQLite", "backup", backup+"2", "--database", "mysql://weft:secret@127.0.0.1/weft")
}
