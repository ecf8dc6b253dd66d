package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
)

// bin is the folder with the weft command.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "weft-cli-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	if out, err := exec.Command("go", "build", "-o", bin, "../../api/cmd/weft").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building weft: %v: %s\n", err, out)
		return 1
	}
	return m.Run()
}

// TestScripts runs testdata/*.txtar, each against a controller of its own that
// $URL leads to. WEFT_API says so too, and WEFT_TOKEN_FILE is its token, unless
// the script's name asks for another way to authenticate.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("WEFT_GOLDEN") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			config, err := install(filepath.Join(env.WorkDir, "controller"))
			if err != nil {
				return err
			}
			scheme := "http://"
			switch strings.TrimPrefix(filepath.Base(env.WorkDir), "script-") {
			case "uaa":
				err = withUAA(env, &config)
			case "certificates":
				scheme, err = "https://", withCertificates(env, &config)
			default:
				env.Setenv("WEFT_TOKEN_FILE", config.Auth.TokenFile)
			}
			if err != nil {
				return err
			}
			s, err := server.Start(context.Background(), config, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			env.Defer(func() { _ = s.Stop() })
			env.Setenv("URL", scheme+s.External.String())
			if config.Auth.Mode == server.AuthToken {
				env.Setenv("WEFT_API", scheme+s.External.String())
			}
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			return nil
		},
	})
}

// install makes the certificates of a controller, and a configuration that
// keeps all its files in dir and listens on free ports.
func install(dir string) (server.Config, error) {
	config := server.Default()
	if _, err := pki.Init(pki.Request{Dir: dir, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()}); err != nil {
		return config, err
	}
	config.Listen, config.InternalListen = "127.0.0.1:0", "127.0.0.1:0"
	config.InternalTLS = api.KeyFiles{
		Cert: filepath.Join(dir, pki.ControllerCert), Key: filepath.Join(dir, pki.ControllerKey), CA: filepath.Join(dir, pki.AuthorityCert),
	}
	config.Database = "sqlite://" + filepath.Join(dir, "weft.db")
	config.Auth.TokenFile = filepath.Join(dir, "token")
	return config, nil
}

// TestWatch: weft watch shows changes while they happen, ends well when
// somebody stops it, and with an error when the controller goes away.
func TestWatch(t *testing.T) {
	config, err := install(filepath.Join(t.TempDir(), "controller"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }() // it has been stopped unless the test failed
	address := "http://" + s.External.String()
	admin := api.NewClient(address, s.Token)
	port := 1
	// watch starts the command, and adds policies until it has shown one.
	watch := func(format string) (command *exec.Cmd, line string) {
		command = exec.CommandContext(t.Context(), filepath.Join(bin, "weft"), "watch", "--api", address, "--token-file", config.Auth.TokenFile, "-o", format)
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		lines := make(chan string)
		go func() {
			defer close(lines)
			for scanner := bufio.NewScanner(out); scanner.Scan(); {
				lines <- scanner.Text()
			}
		}()
		for deadline := time.After(20 * time.Second); ; port++ {
			set := api.PolicySet{Policies: []api.PolicyRequest{{Source: "web", Destination: "backend", Protocol: "tcp", Ports: api.Ports{Start: port, End: port}}}}
			if _, err := admin.ApplySet(t.Context(), "shop", set, api.SetOptions{}); err != nil {
				t.Fatal(err)
			}
			select {
			case line := <-lines:
				go func() { // or it would wait for a reader
					for range lines {
					}
				}()
				return command, line
			case <-deadline:
				t.Fatal("weft watch showed nothing")
			case <-time.After(100 * time.Millisecond):
			}
		}
	}

	people, line := watch("table")
	if want := regexp.MustCompile(`^\S+Z \d+ token \+ web -> backend tcp \d+ \(set shop\)$`); !want.MatchString(line) {
		t.Errorf("weft watch says %q", line)
	}
	if err := people.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := people.Wait(); err != nil {
		t.Errorf("weft watch, stopped: %v", err)
	}

	program, line := watch("json")
	if want := regexp.MustCompile(`^\{"revision":\d+,"at":"[^"]+","by":"token","added":\[\{"source":"web",.*"set":"shop"`); !want.MatchString(line) {
		t.Errorf("weft watch -o json says %q", line)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := program.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("weft watch without a controller: %v, want exit status 1", err)
	}
}
