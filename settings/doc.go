// Package settings reads a program's configuration: one YAML file whose keys
// are listed once, in the program, with their meaning. From that list come the
// reader, environment variables and flags that override the file, the report of
// every fault with the line that it is on, the documentation and the example
// files. The package knows no key of its own.
package settings
