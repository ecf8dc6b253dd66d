// Package scene makes up the clusters that benchmarks measure: apps, containers
// on cells, and policies between apps. A size has one scene, the same on every
// machine and in every run, so that two systems, or two releases, can be given
// the same one. It knows nothing of how a system is told.
//
// Start reading at Size.
package scene
