package config

import "path/filepath"

// containerData is where the container image mounts the data of its user.
const containerData = "/config"

// dataDir works out the default of the key data; it is empty where there is no
// sensible place. writable tells whether a directory exists and can be written.
func dataDir(getenv func(string) string, writable func(dir string) bool) string {
	if writable(containerData) {
		return containerData
	}
	// The XDG base directory specification says that a relative path is to be ignored.
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "acequia")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "acequia")
	}
	return ""
}
