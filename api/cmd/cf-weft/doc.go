// Command cf-weft is a plugin of the cf command: cf allow-access, deny-access
// and list-access, with the apps, the login and the controller that cf targets.
// It never asks for a password and keeps nothing. Start reading at plugin.go.
package main
