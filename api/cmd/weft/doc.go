// Command weft is for admins and operators: it allows and removes access
// between apps and shows cells, endpoints and group ids. It speaks the
// controller's external and native API and nothing else. Start reading at
// root.go; each command has a file.
package main
