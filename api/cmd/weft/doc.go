// Command weft is for admins, operators and developers: it allows and removes
// access between apps, one by one or from a file, and shows policies, who
// changed them, cells, endpoints and group ids. It speaks the controller's
// external and native API; where somebody has logged in to a platform, it asks
// the UAA for tokens and Cloud Controller for the names of apps. Start reading
// at root.go; each command has a file.
package main
