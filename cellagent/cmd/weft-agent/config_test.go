package main

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/settings"
)

// TestConfigCommand runs the scripts of testdata: bad files, and what config
// check and config show say about them.
func TestConfigCommand(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			_, err := pki.Init(pki.Request{Dir: env.WorkDir, Cells: []pki.Cell{{ID: "cell-1"}}, ControllerNames: []string{"controller.example"}, Now: time.Now()})
			return err
		},
	})
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft-agent": main})
}

// TestGenerated: what is made of the keys is up to date; make golden does it.
func TestGenerated(t *testing.T) {
	config := cellagent.DefaultConfig()
	const docs, example = "../../../docs/configuration.md", "../../../controller/pki/weft-agent.yaml.tmpl"
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := settings.Regenerate(string(text), program.Name, settings.Markdown(config.Keys())); err != nil || fresh != string(text) {
		t.Errorf("%s is stale (%v): make golden", docs, err)
	}
	if text, err := os.ReadFile(example); err != nil || string(text) != settings.Example(program.Name, config.Keys()) {
		t.Errorf("%s is stale (%v): make golden", example, err)
	}
}
