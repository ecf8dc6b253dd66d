package cni

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// Keys that are not ours are others' and are ignored, but for those that look
// like one of ours that is not there: a container whose identity was in
// "identiy" would start isolated, and nobody would know why. Only a person's keys
// are looked at; metadata and runtimeConfig are written by programs.

// checkSpelling refuses keys of the configuration, its capabilities and args.cni
// that are misspelt.
func (c Config) checkSpelling(stdin []byte) error {
	top := slices.Concat(keysOf(c.Places), keysOf(c), []string{"capabilities", "dns"})
	capabilities := slices.Concat(portMappingsKeys, netOutRulesKeys, bandwidthKeys, ipsKeys, macKeys, annotationsKeys, aliasesKeys)
	for _, object := range []struct {
		path string
		ours []string
	}{{"", top}, {"capabilities", capabilities}, {"args.cni", keysOf(c.Args.CNI)}} {
		raw, place := json.RawMessage(stdin), ""
		if object.path != "" {
			raw, place = json.RawMessage(rawAt(stdin, object.path)), object.path+"."
		}
		var there map[string]json.RawMessage
		if json.Unmarshal(raw, &there) != nil {
			continue // there is none
		}
		given := slices.Sorted(maps.Keys(there))
		if key, meant := misspelt(given, object.ours, strings.EqualFold); meant != "" {
			return invalid(place+key, written(there[key]), fmt.Sprintf("is no key of weft-cni; did you mean %s?", meant))
		}
	}
	return nil
}

// checkArgs refuses misspelt keys of CNI_ARGS, IgnoreUnknown or not: runtimes
// always set that.
func (c Config) checkArgs(args map[string]string) error {
	ours := []string{argIP, argMAC}
	for _, source := range c.Identity {
		if key, isArg := strings.CutPrefix(source, fromArgs+"."); isArg {
			ours = append(ours, key)
		}
	}
	exactly := func(a, b string) bool { return a == b }
	if key, meant := misspelt(slices.Sorted(maps.Keys(args)), ours, exactly); meant != "" {
		return failure(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_ARGS: %s %q: weft-cni reads no such key; did you mean %s?", key, args[key], meant),
			"correct CNI_ARGS, or identity in the network configuration")
	}
	return nil
}

// keysOf are the JSON keys of a struct, without those of structs that it embeds.
func keysOf(object any) (keys []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeOf(object)) {
		if key := field.Tag.Get("json"); len(field.Index) == 1 && key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// misspelt returns the first key that is none of ours and looks like one that is
// not among those given, and that one; "" if there is none.
func misspelt(given, ours []string, same func(a, b string) bool) (key, meant string) {
	has := func(keys []string, key string) bool {
		return slices.ContainsFunc(keys, func(other string) bool { return same(key, other) })
	}
	for _, key := range given {
		if has(ours, key) {
			continue
		}
		for _, meant := range ours {
			if !has(given, meant) && edits(strings.ToLower(key), strings.ToLower(meant)) <= slips(meant) {
				return key, meant
			}
		}
	}
	return "", ""
}

// slips is how many edits from a key another is still taken for it: short words
// are soon others.
func slips(key string) int {
	switch {
	case len(key) < len("mtu"):
		return 0
	case len(key) < len("burst"):
		return 1
	}
	return 2
}

// edits is the number of characters to insert, delete, replace or swap with their
// neighbour.
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
		for j := 1; j <= len(b); j++ {
			if i == 0 {
				rows[i][j] = j
				continue
			}
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(replaced, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
