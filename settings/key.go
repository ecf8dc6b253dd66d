package settings

import "strings"

// Key is one key of a configuration file.
type Key struct {
	Name    string // in full, such as auth.uaa.url
	Value   Value
	Meaning string // in sentences, as Markdown
	Example string // YAML of a value, where the default shows too little
	Init    string // YAML that an example file has; may hold {{.Field}}; "" leaves the key out, as a comment

	// Redact hides the secret that a value of this key is, or holds; nil: none.
	// A key with secrets can also be given as NAME_file, which names a file that
	// holds the value.
	Redact func(string) string
}

// Hide redacts all of a value.
func Hide(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}

// fileSuffix makes the key that names a file with a secret.
const fileSuffix = "_file"

// variable is the environment variable that overrides a key.
func variable(prefix, key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// redacted hides the secrets of any value of the key.
func (k Key) redacted(text string) string {
	if k.Redact == nil {
		return text
	}
	return k.Redact(text)
}

// shown is the key's value as it is now, in one line of YAML, without secrets.
func (k Key) shown() string {
	value := k.Value.show()
	if text, is := value.(string); is {
		value = k.redacted(text)
	}
	return inline(value)
}

// defaultText is the value that the key has now, for people.
func (k Key) defaultText() string {
	switch text := k.shown(); text {
	case `""`, "[]":
		return "none"
	default:
		return text
	}
}

// groups are the names that hold other keys: auth and auth.uaa of auth.uaa.url.
func groups(keys []Key) map[string]bool {
	all := map[string]bool{}
	for _, k := range keys {
		for i := strings.LastIndex(k.Name, "."); i > 0; i = strings.LastIndex(k.Name[:i], ".") {
			all[k.Name[:i]] = true
		}
	}
	return all
}
