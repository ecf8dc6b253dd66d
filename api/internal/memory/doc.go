// Package memory is a controller of a few lines that forgets everything: just
// enough behind api's interfaces to test its handlers, its clients and the
// command line over real connections. What a controller must decide is tested
// where it is decided.
package memory
