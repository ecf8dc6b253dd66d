// Package chart draws figures of benchmarks as SVG, by hand: the same figures
// give the same bytes, so that a change of a chart in the repository is a change
// of figures. It can be read on light and dark pages.
package chart
