package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// Requests are what the runtime wants of the network for this one container,
// from runtimeConfig. The zero value is what a container gets that nobody said
// anything of: nothing of the host's opens to it, and it has the configuration's
// egress rules and limits.
type Requests struct {
	Mappings []ovsdb.PortMapping // its ports that open on the cell's address; nil: not said
	Egress   *flows.EgressRules  // where it may open connections out of the overlay; nil: not said
	Limits   ovsdb.Limits        // the zero value: not said
	IPs      []string            // addresses that it asks for
	MAC      string              // that it asks for; "": any

	Annotations map[string]json.RawMessage // of the pod
	Aliases     map[string]json.RawMessage // of the container, by network
}

const runtimeConfig = "runtimeConfig"

// The keys of runtimeConfig in the spellings that occur; the first is the usual.
var (
	portMappingsKeys = []string{"portMappings", "port_mappings"}
	netOutRulesKeys  = []string{"netOutRules", "net_out_rules", "netout_rules"}
	bandwidthKeys    = []string{"bandwidth"}
	ipsKeys          = []string{"ips"}
	macKeys          = []string{"mac"}
	annotationsKeys  = []string{podAnnotations}
	aliasesKeys      = []string{"aliases"}
)

// parseRequests reads runtimeConfig. An error names the key, with the place in
// its list, and the value.
func parseRequests(raw json.RawMessage) (r Requests, err error) {
	var all map[string]json.RawMessage
	if len(raw) != 0 {
		err = decode(runtimeConfig, raw, &all)
	}
	if err != nil {
		return r, err
	}
	if path, value := find(all, portMappingsKeys); value != nil {
		if r.Mappings, err = parseMappings(path, value); err != nil {
			return r, err
		}
	}
	if path, value := find(all, netOutRulesKeys); value != nil {
		rules, err := parseNetOut(path, value)
		if err != nil {
			return r, err
		}
		r.Egress = &rules
	}
	if path, value := find(all, bandwidthKeys); value != nil {
		if r.Limits, err = parseBandwidth(path, value); err != nil {
			return r, err
		}
	}
	for _, plain := range []struct {
		keys []string
		into any
	}{{ipsKeys, &r.IPs}, {macKeys, &r.MAC}, {annotationsKeys, &r.Annotations}, {aliasesKeys, &r.Aliases}} {
		if path, value := find(all, plain.keys); value != nil && err == nil {
			err = decode(path, value, plain.into)
		}
	}
	return r, err
}

// find returns the first of the keys that is there, in full, and its value.
func find(object map[string]json.RawMessage, keys []string) (path string, value json.RawMessage) {
	for _, key := range keys {
		if value := object[key]; value != nil && string(value) != "null" {
			return runtimeConfig + "." + key, value
		}
	}
	return "", nil
}

// decode reads the value at a path of the configuration.
func decode(path string, raw json.RawMessage, into any) error {
	err := json.Unmarshal(raw, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wrong):
		return failure(types.ErrDecodingFailure, fmt.Sprintf("%s: %v", path, err), validJSON)
	case wrong.Field == "":
		return invalid(path, written(raw), "must be a "+plainType(wrong))
	}
	return invalid(path+"."+wrong.Field, rawAt(raw, wrong.Field), "must be a "+plainType(wrong))
}

// decodeList reads a list whose items an error shall name by their place.
func decodeList[T any](path string, raw json.RawMessage) ([]T, error) {
	var items []json.RawMessage
	if err := decode(path, raw, &items); err != nil {
		return nil, err
	}
	list := make([]T, len(items))
	for i, item := range items {
		if err := decode(fmt.Sprintf("%s[%d]", path, i), item, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// plainType is the JSON name of the type that was wanted.
func plainType(wrong *json.UnmarshalTypeError) string {
	switch kind := wrong.Type.Kind().String(); kind {
	case "struct", "map":
		return "JSON object"
	case "slice":
		return "JSON list"
	case "int", "int64":
		return "whole number"
	default:
		return kind
	}
}

// written is a value as it stands in the document, with its own quotes if any.
type written string

// rawAt returns the value of a key such as "metadata.app_id", in whichever case
// it is written; "" if it is not there.
func rawAt(document []byte, field string) written {
	raw := json.RawMessage(document)
	for key := range strings.SplitSeq(field, ".") {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return ""
		}
		if raw = object[key]; raw != nil {
			continue
		}
		for other, value := range object {
			if strings.EqualFold(other, key) {
				raw = value
			}
		}
		if raw == nil {
			return ""
		}
	}
	return written(raw)
}
