package docker

import (
	"os"
	"regexp"
	"slices"
)

// selfIDs returns what may be the id of the container that this program runs
// in: the files that a container engine mounts into a container come from a
// directory named after it, and the host name is its short id by default.
func selfIDs() []string {
	var ids []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil {
		ids = idsInMounts(string(mounts))
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		ids = append(ids, name)
	}
	return ids
}

// containerMount is the source of /etc/hostname and its like in mountinfo
// (proc_pid_mountinfo(5), field 4).
var containerMount = regexp.MustCompile(`containers/([0-9a-f]{64})/(?:userdata/)?(?:hostname|hosts|resolv\.conf) /etc/`)

func idsInMounts(mounts string) []string {
	var ids []string
	for _, m := range containerMount.FindAllStringSubmatch(mounts, -1) {
		if !slices.Contains(ids, m[1]) {
			ids = append(ids, m[1])
		}
	}
	return ids
}
