package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/weft-sdn/weft/api"
)

const controllerName = "controller"

// startController makes the PKI for the cells and starts weft-controller in
// its own namespace on the underlay.
func (w *world) startController(cells []string) error {
	space, err := newNetNS(controllerName)
	if err != nil {
		return err
	}
	if err := plugIntoUnderlay(controllerName, space, controllerAddress); err != nil {
		return err
	}
	w.pki = filepath.Join(w.dir, "pki")
	if _, err := run(w.bin+"/weft-controller", "init", "--dir", w.pki,
		"--cells", strings.Join(cells, ","), "--controller-names", controllerAddress.Addr().String()); err != nil {
		return err
	}
	config := fmt.Sprintf(`listen: 0.0.0.0:%d
internal_listen: 0.0.0.0:%d
internal_tls: {cert_file: %[3]s/controller.crt, key_file: %[3]s/controller.key, ca_file: %[3]s/ca.crt}
database: sqlite://%[4]s/weft.db
auth: {mode: token, token_file: %[4]s/token}
network: [%[5]s]
subnet_prefix_length: 24
vni: 1
vxlan_port: 4789
deny_networks: [%[6]s/32]
group_quarantine: 90s
log_level: info
`, externalPort, internalPort, w.pki, w.controllerDir(), overlay, deniedAddress)
	if err := os.MkdirAll(w.controllerDir(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.controllerDir(), "weft-controller.yaml"), []byte(config), 0o644); err != nil {
		return err
	}
	return w.runController(space)
}

func (w *world) controllerDir() string { return filepath.Join(w.dir, controllerName) }

// runController starts the process and waits until it answers.
func (w *world) runController(space ns.NetNS) (err error) {
	w.controller, err = w.start(program{name: controllerName, in: space, argv: []string{
		w.bin + "/weft-controller", "--config", filepath.Join(w.controllerDir(), "weft-controller.yaml")}})
	if err != nil {
		return err
	}
	return await(30*time.Second, w.controller, func() error {
		token, err := os.ReadFile(filepath.Join(w.controllerDir(), "token"))
		if err != nil {
			return err
		}
		w.token = strings.TrimSpace(string(token))
		w.client = api.NewClient((&Bed{world: w}).URL(), w.token)
		_, err = w.client.Groups(background())
		return err
	})
}

// KillController ends the controller as a crash would, with SIGKILL.
func (b *Bed) KillController() {
	b.Helper()
	b.must(b.controller.stop(syscall.SIGKILL))
}

// StartController starts it again, over the same database.
func (b *Bed) StartController() {
	b.Helper()
	handle, err := ns.GetNS(netnsPath(controllerName))
	b.must(err)
	defer handle.Close()
	b.must(b.runController(handle))
}

// Allow adds a policy from one container's app to another's and returns when
// every cell concerned has confirmed it. It ends with the test. What is, for
// example, "tcp/8080" or "udp/8080-8090".
func (b *Bed) Allow(from, to *Container, what string) {
	b.Helper()
	b.allow(from, to, what, waitApplied)
}

// AllowLater is Allow without waiting for any cell.
func (b *Bed) AllowLater(from, to *Container, what string) {
	b.Helper()
	b.allow(from, to, what, api.Wait{})
}

// Policy allows one app to connect to another. What is, for example,
// "tcp/8080" or "udp/8080-8090".
type Policy struct{ From, To, What string }

// AllowAll adds policies at once and returns when every cell concerned has
// confirmed them. They end with the test.
func (b *Bed) AllowAll(policies []Policy) {
	b.Helper()
	b.addPolicies(policies, waitApplied)
}

func (b *Bed) allow(from, to *Container, what string, wait api.Wait) {
	b.Helper()
	b.addPolicies([]Policy{{from.App, to.App, what}}, wait)
}

func (b *Bed) addPolicies(policies []Policy, wait api.Wait) {
	b.Helper()
	var bodies []api.PolicyBody
	for _, p := range policies {
		body, err := policyBody(p.From, p.To, p.What)
		b.must(err)
		bodies = append(bodies, body)
	}
	b.Cleanup(func() {
		if _, err := b.client.RemovePolicies(background(), bodies, api.Wait{}); err != nil {
			b.Errorf("remove the test's policies: %v", err)
		}
	})
	b.applied(b.client.AddPolicies(background(), bodies, wait))
}

// Deny removes a policy that Allow added, and returns when every cell
// concerned has confirmed it and the flow caches have followed.
func (b *Bed) Deny(from, to *Container, what string) {
	b.Helper()
	body, err := policyBody(from.App, to.App, what)
	b.must(err)
	b.applied(b.client.RemovePolicies(background(), []api.PolicyBody{body}, waitApplied))
	b.settle()
}

// LogAccepted switches on the log of accepted connections of the container's
// app, until the test ends or the function is called that it returns.
func (b *Bed) LogAccepted(of *Container) (off func()) {
	b.Helper()
	set := func(apps ...string) {
		b.Helper()
		_, err := b.client.SetLogging(background(), api.Logging{Apps: apps})
		b.must(err)
	}
	set(of.App)
	b.Cleanup(func() { set() })
	return func() { set() }
}

// DeleteApp removes every policy of the container's app, as the platform does
// when the app is deleted, and returns as Deny does.
func (b *Bed) DeleteApp(of *Container) {
	b.Helper()
	all, err := b.client.Policies(background(), api.Filter{})
	b.must(err)
	var its []api.PolicyBody
	for _, p := range all.Policies {
		if p.Source.ID == of.App || p.Destination.ID == of.App {
			its = append(its, p)
		}
	}
	b.applied(b.client.RemovePolicies(background(), its, waitApplied))
	b.settle()
}

var waitApplied = api.Wait{For: api.WaitApplied, Timeout: patience}

func (b *Bed) applied(change api.Change, err error) {
	b.Helper()
	b.must(err)
	if len(change.Pending) > 0 {
		b.Fatalf("revision %d is not applied after %s on %v\n%s", change.Revision, waitApplied.Timeout, change.Pending, b.logs())
	}
}

func policyBody(from, to, what string) (api.PolicyBody, error) {
	protocol, ports, err := parseWhat(what)
	return api.PolicyBody{Source: api.Source{ID: from}, Destination: api.Destination{ID: to, Protocol: protocol, Ports: ports}}, err
}

// parseWhat splits "tcp/8080" and "udp/8080-8090".
func parseWhat(what string) (protocol string, ports api.Ports, err error) {
	protocol, text, ok := strings.Cut(what, "/")
	if !ok {
		return "", ports, fmt.Errorf("%q is not of the form tcp/8080 or udp/8080-8090", what)
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	start, err1 := strconv.Atoi(first)
	end, err2 := strconv.Atoi(last)
	return protocol, api.Ports{Start: start, End: end}, errors.Join(err1, err2)
}

// Group returns the group id of a container's app.
func (b *Bed) Group(of *Container) uint16 {
	b.Helper()
	groups, err := b.client.Groups(background())
	b.must(err)
	for _, g := range groups {
		if g.App == of.App {
			return g.Group
		}
	}
	b.Fatalf("app %s has no group id", of.App)
	return 0
}
