// Package version names this release of Retort.
package version

import "runtime/debug"

// Number is the version of this release. Whoever makes a release changes it here and in CHANGELOG.md.
const Number = "0.1.0"

// Revision returns the first 12 digits of the commit that the program was built from, with ", changed" where files
// differed from the commit; "" where the build does not know it.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))] + revision
		case s.Key == "vcs.modified" && s.Value == "true":
			revision += ", changed"
		}
	}
	return revision
}
