package runtimes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/libcni"
	types040 "github.com/containernetworking/cni/pkg/types/040"
)

// garden calls plugins as Cloud Foundry's garden-external-networker does, with
// the same library: the network namespace is a bind mount named like the handle,
// metadata and runtimeConfig are put into every plugin's configuration for ADD
// and into none's for DEL, and the result is read as version 0.4.0. Each call
// reads the network anew, since there each is a process.
type garden struct{ *transcript }

// gardenMounts is bind_mount_dir of garden-external-networker's configuration.
const gardenMounts = "/run/garden/netns"

// upInput is what Garden says of a container, on standard input.
type upInput struct {
	PID        int               `json:"pid"`
	Properties map[string]string `json:"properties"`
	NetIn      []any             `json:"netin"`
	NetOut     []any             `json:"netout_rules"`
}

// upOutput is what it is told of the result; the mapped ports are as it said.
type upOutput struct {
	Properties struct {
		ContainerIP string `json:"garden.network.container-ip"`
		Interface   string `json:"garden.network.interface"`
	} `json:"properties"`
	DNSServers []string `json:"dns_servers,omitempty"`
}

func (g garden) conf(handle string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: handle, NetNS: filepath.Join(gardenMounts, handle), IfName: "eth0"}
}

func (g garden) list() *libcni.NetworkConfigList {
	g.Helper()
	list, err := libcni.ConfListFromFile(networkDir + "/10-weft.conflist")
	if err != nil {
		g.Fatal(err)
	}
	return list
}

var gardenCNI = &libcni.CNIConfig{Path: []string{pluginDir}}

// up attaches a container, and fails on what would fail there.
func (g garden) up(handle string, in upInput) (out upOutput, err error) {
	g.Helper()
	g.mount(in.PID, handle)
	list := g.list()
	extra := map[string]any{"metadata": in.Properties, "runtimeConfig": map[string]any{"portMappings": in.NetIn, "netOutRules": in.NetOut}}
	for i, plugin := range list.Plugins {
		if list.Plugins[i], err = libcni.InjectConf(plugin, extra); err != nil {
			g.Fatal(err)
		}
	}
	result, err := gardenCNI.AddNetworkList(context.Background(), list, g.conf(handle))
	if err != nil {
		return out, err
	}
	old, err := result.GetAsVersion("0.4.0")
	if err != nil {
		return out, err
	}
	r := old.(*types040.Result)
	for _, ip := range r.IPs {
		if ip.Version != "4" {
			continue
		}
		if ip.Interface == nil || *ip.Interface >= len(r.Interfaces) {
			return out, fmt.Errorf("no interface of the address in %+v", r)
		}
		out.Properties.ContainerIP, out.Properties.Interface = ip.Address.IP.String(), r.Interfaces[*ip.Interface].Name
		break // the first is the container's
	}
	if out.Properties.ContainerIP == "" {
		return out, fmt.Errorf("expected an IPv4 address in the CNI result")
	}
	out.DNSServers = r.DNS.Nameservers
	return out, nil
}

// mount gives a process's network namespace the container's name.
func (g garden) mount(pid int, handle string) {
	g.Helper()
	target := filepath.Join(gardenMounts, handle)
	if err := os.MkdirAll(gardenMounts, 0o755); err != nil {
		g.Fatal(err)
	}
	g.write(target, "")
	if err := syscall.Mount(fmt.Sprintf("/proc/%d/ns/net", pid), target, "none", syscall.MS_BIND, ""); err != nil {
		g.Fatal(err)
	}
}

// down detaches it, whatever is left of it.
func (g garden) down(handle string) {
	g.Helper()
	if err := gardenCNI.DelNetworkList(context.Background(), g.list(), g.conf(handle)); err != nil {
		g.Errorf("down %s: %v", handle, err)
	}
	target := filepath.Join(gardenMounts, handle)
	_ = syscall.Unmount(target, syscall.MNT_DETACH) // there may be none
	if err := os.RemoveAll(target); err != nil {
		g.Error(err)
	}
}

// says is up for the document: what Garden says, and what it is told.
func (g garden) says(handle string, in upInput) upOutput {
	g.Helper()
	out, err := g.up(handle, in)
	if err != nil {
		g.Fatalf("up %s: %v", handle, err)
	}
	input, _ := json.Marshal(in)
	output, err := json.Marshal(out)
	if err != nil {
		g.Fatal(err)
	}
	g.note("garden", fmt.Sprintf("up %s < %s", handle, input), string(output))
	return out
}

// gardenNetwork has plugins before and after ours, which get what Garden puts
// into every plugin's configuration, too.
const gardenNetwork = `{"type": "loopback"},
    {"type": "weft-cni", "dns": {"nameservers": ["169.254.0.2"]}},
    {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.accept_local": "1"}}`

// TestGarden: two apps of Cloud Foundry, a policy, a mapped port and a security
// group's rule; and DEL in every state in which Garden asks for it.
func TestGarden(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", gardenNetwork)
	c.serveOutside()
	before := c.belongings()
	s := c.transcript("garden")
	g := garden{s}
	dogs := c.process("busybox", "httpd", "-f", "-p", "8080", "-h", containerRoot+"/www")
	cats := c.process("sleep", "1000")
	s.do("cat /etc/cni/net.d/10-weft.conflist")
	out := g.says("dogs-1", upInput{PID: dogs.Pid, Properties: properties("dogs"), NetIn: []any{map[string]int{"host_port": 61000, "container_port": 8080}}, NetOut: []any{}})
	if out.Properties.ContainerIP != "10.255.1.1" || out.Properties.Interface != "eth0" || strings.Join(out.DNSServers, " ") != "169.254.0.2" {
		t.Errorf("Garden is told %+v", out)
	}
	g.says("cats-1", upInput{PID: cats.Pid, Properties: properties("cats"), NetIn: []any{}, NetOut: []any{map[string]any{
		"protocol": 1, "networks": []any{map[string]string{"start": outsideIP, "end": outsideIP}}, "ports": []any{map[string]int{"start": 80, "end": 80}}}}})
	s.endpoints("cats", "dogs")
	const inCats = "nsenter --net=/run/garden/netns/cats-1 "
	s.sees(inCats+"timeout 2 busybox wget -q -O - http://10.255.1.1:8080 || echo denied", "denied")
	s.do("weft allow-access cats dogs --protocol tcp --port 8080 --wait")
	s.sees(inCats+"busybox wget -q -O - http://10.255.1.1:8080", "hello")
	s.sees(inCats+"busybox wget -q -O - http://192.0.2.9:80", "hello")
	s.has(s.outside("wget -q -O - http://192.0.2.1:61000"), "hello")
	if got := c.must(inCats + "cat /proc/sys/net/ipv4/conf/eth0/accept_local"); got != "1\n" {
		t.Errorf("the plugin after ours did nothing: accept_local is %s", got)
	}

	g.down("never-was")
	c.network("1.0.0", `{"type": "weft-cni"}`) // loopback does not take what follows
	c.write(gardenMounts+"/of-before-a-reboot", "")
	g.down("of-before-a-reboot") // its mount went with the boot, its name did not
	c.network("1.0.0", gardenNetwork)
	if err := dogs.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = dogs.Wait() // killed
	s.note("garden", "down dogs-1", "")
	g.down("dogs-1")
	g.down("dogs-1")
	s.note("garden", "down cats-1", "")
	g.down("cats-1")
	s.endpoints()
	s.end()
	c.leavesNothing(before)
}

// TestGardenIsToldWhy: what is wrong with a security group's rule is in the
// error, and down after it finds nothing.
func TestGardenIsToldWhy(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", gardenNetwork)
	before := c.belongings()
	g := garden{c.transcript("")}
	cats := c.process("sleep", "1000")
	_, err := g.up("cats-1", upInput{PID: cats.Pid, Properties: properties("cats"), NetOut: []any{map[string]any{"protocol": 1}}})
	if err == nil || !strings.Contains(err.Error(), "runtimeConfig.netOutRules[0].networks []: must name at least one") {
		t.Errorf("up: %v", err)
	}
	g.down("cats-1")
	c.leavesNothing(before)
}

// properties are those of a container that Diego starts, as Garden passes them.
func properties(app string) map[string]string {
	return map[string]string{"app_id": app, "policy_group_id": app, "space_id": "zoo", "org_id": "animals", "container_workload": "app", "ports": "8080"}
}

// process starts a program in a network namespace of its own, until the test
// ends.
func (c *cell) process(argv ...string) *os.Process {
	c.Helper()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		c.Fatal(err)
	}
	p, err := os.StartProcess(path, argv, &os.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}})
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		_ = p.Kill() // it may have ended
		_, _ = p.Wait()
	})
	return p
}
