package cni

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/flows"
)

// The places that an identity can come from, by how the key identity of the
// configuration names them: metadata.app_id, args.K8S_POD_NAME, label.app,
// annotation.example.com/app, alias.weft.
const (
	fromMetadata   = "metadata"   // top-level metadata, as Garden passes it
	fromArgs       = "args"       // CNI_ARGS
	fromLabels     = "label"      // args.cni.labels of the configuration
	fromAnnotation = "annotation" // runtimeConfig's annotations of the pod
	fromAliases    = "alias"      // runtimeConfig's aliases on a network: what podman keeps of a container across restarts
)

var identityPlaces = []string{fromMetadata, fromArgs, fromLabels, fromAnnotation, fromAliases}

// defaultIdentity is Cloud Foundry's identity, and one for other runtimes.
var defaultIdentity = []string{"metadata.policy_group_id", "metadata.app_id", "args.WEFT_APP"}

// podAnnotations is the capability by which containerd and CRI-O pass the
// annotations of a pod.
const podAnnotations = "io.kubernetes.cri.pod-annotations"

// label is one of args.cni.labels of the CNI convention.
type label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// checkIdentity refuses sources that there are not.
func checkIdentity(sources []string) error {
	for i, source := range sources {
		place, key, _ := strings.Cut(source, ".")
		if !slices.Contains(identityPlaces, place) || key == "" {
			return invalid(fmt.Sprintf("identity[%d]", i), source,
				"must be metadata.KEY, args.KEY (of CNI_ARGS), label.KEY (of args.cni.labels), annotation.KEY (of the pod) or alias.NETWORK")
		}
	}
	return nil
}

// identity finds whose the container is: the first of the configured sources
// that says something, then the configuration itself. None is an answer too.
func identity(conf Config, args map[string]string, container string) (flows.AppID, error) {
	for _, source := range conf.Identity {
		id, err := conf.source(source, args, container)
		if err != nil {
			return "", err
		}
		if id == "" {
			continue
		}
		if must := identityProblem(id); must != "" {
			if place, key, _ := strings.Cut(source, "."); place == fromArgs {
				return "", failure(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_ARGS: %s %q: %s", key, id, must), correctArgs)
			}
			return "", invalid(source, id, must)
		}
		return flows.AppID(id), nil
	}
	return flows.AppID(conf.App), nil
}

// source is what one source says, "" if nothing.
func (c Config) source(source string, args map[string]string, container string) (string, error) {
	place, key, _ := strings.Cut(source, ".")
	switch place {
	case fromArgs:
		return args[key], nil
	case fromLabels:
		for _, l := range c.Args.CNI.Labels {
			if l.Key == key {
				return l.Value, nil
			}
		}
		return "", nil
	case fromAnnotation:
		return textOf(runtimeConfig+"."+podAnnotations, c.Requests.Annotations, key)
	case fromAliases:
		return aliasOf(c.Requests.Aliases, key, container)
	}
	return textOf(fromMetadata, c.Metadata, key)
}

// podmanID is how much of a container's id podman gives it as an alias.
const podmanID = 12

// aliasOf reads the first alias on the network that a person gave the container.
// Other beginnings of its id are a person's, too: one in 256 containers of an app
// "db" has an id that begins so.
func aliasOf(aliases map[string]json.RawMessage, network, container string) (string, error) {
	raw := aliases[network]
	if raw == nil {
		return "", nil
	}
	var all []string
	if err := decode(runtimeConfig+"."+aliasesKeys[0]+"."+network, raw, &all); err != nil {
		return "", err
	}
	for _, alias := range all {
		if len(alias) != podmanID || !strings.HasPrefix(container, alias) {
			return alias, nil
		}
	}
	return "", nil
}

// textOf reads a text of an object, "" if it is not there.
func textOf(path string, object map[string]json.RawMessage, key string) (text string, err error) {
	raw := object[key]
	if raw == nil {
		return "", nil
	}
	return text, decode(path+"."+key, raw, &text)
}

const maxIdentity = 255 // bytes

// identityProblem says what an identity must be, or "" if this one is fine.
func identityProblem(id string) string {
	odd := func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }
	if len(id) > maxIdentity || strings.ContainsFunc(id, odd) || strings.TrimSpace(id) != id {
		return fmt.Sprintf("must be at most %d bytes of printable text without spaces around it", maxIdentity)
	}
	return ""
}
