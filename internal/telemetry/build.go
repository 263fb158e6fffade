package telemetry

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Build says which program this is.
type Build struct {
	Version  string `json:"version"`            // a release such as v1.2.3, a pseudo-version, or "devel"
	Revision string `json:"revision,omitempty"` // commit; empty when unknown
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339; empty when unknown
	Modified bool   `json:"modified,omitempty"` // built from a changed tree
	Go       string `json:"go"`                 // version of the toolchain
	Platform string `json:"platform"`           // operating system and architecture
}

// version is set by the linker (-X) where a release knows better than the
// toolchain, which stamps in what it finds in the repository.
var version string

// ReadBuild describes the running program.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	build := newBuild(version, info)
	build.Platform = runtime.GOOS + "/" + runtime.GOARCH
	return build
}

func newBuild(version string, info *debug.BuildInfo) Build {
	build := Build{Version: version, Go: info.GoVersion}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			build.Revision = setting.Value
		case "vcs.time":
			build.Time = setting.Value
		case "vcs.modified":
			build.Modified = setting.Value == "true"
		}
	}
	if build.Version == "" {
		build.Version = info.Main.Version
	}
	if build.Version == "" || build.Version == "(devel)" {
		build.Version = "devel"
	}
	return build
}

// String is one line for people.
func (b Build) String() string {
	text := "acequia " + b.Version
	if b.Revision != "" {
		text += fmt.Sprintf(" (commit %.12s", b.Revision)
		if b.Modified {
			text += ", modified"
		}
		if b.Time != "" {
			text += ", " + b.Time
		}
		text += ")"
	}
	return text + " " + b.Go + " " + b.Platform
}
