package docker

import (
	"context"
	"errors"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// advice is what to do about errors, told by words of the daemon's message:
// its API has a status and a text, and the same status for much.
var advice = []struct{ words, advice string }{
	{"no space left on device", "the disk of the Docker host is full: free some, with docker system prune for example"},
	{"toomanyrequests", "the registry limits how much is pulled: wait, or log in to it on the Docker host"},
	{"no basic auth credentials", "the registry wants a log-in: pull the image on the Docker host yourself"},
	{"denied", "the registry does not give the image to everybody, or has none of that name: check docker.image, or pull it on the Docker host yourself"},
	{"manifest unknown", "the registry has no such tag: check docker.image"},
	{"no matching manifest", "the image does not exist for the architecture of the Docker host: choose another docker.image"},
	{"no such host", "the name cannot be found: check the network of the Docker host, and the name"},
	{"exec format error", "the image is for another architecture than the Docker host's: choose another docker.image"},
	{"permission denied", "this user may not use the socket: put it into the group that owns the socket, or use a socket proxy"},
	{"cannot assign requested address", "the Docker host does not have that address: set docker.address"},
	{"tls: ", "check the certificates in docker.tls_dir"},
	{"executable file not found", "ssh is not installed here, which ssh:// hosts need"},
}

// explain returns an error as a text for people that says what to do. It has no
// full stop at its end.
func explain(err error, image string) string {
	text := strings.TrimRight(strings.TrimSpace(err.Error()), ".")
	lower := strings.ToLower(text)
	switch {
	case errdefs.IsNotFound(err) && strings.Contains(lower, "no such image"):
		return "the Docker host has no image " + image + ": build or pull it, or check docker.image and docker.pull"
	case errdefs.IsNotFound(err) && strings.Contains(lower, "network"):
		return text + ": check docker.network"
	case errdefs.IsPermissionDenied(err) && !strings.Contains(lower, "denied:"), strings.Contains(lower, "403 forbidden"):
		return text + ": the socket proxy does not let this request through; the settings it needs are PING, EVENTS, IMAGES, CONTAINERS and POST"
	case errors.Is(err, context.DeadlineExceeded):
		return "the daemon did not answer in time: is the Docker host overloaded, or its disk slow?"
	}
	for _, a := range advice {
		if strings.Contains(lower, a.words) {
			return text + ": " + a.advice
		}
	}
	if client.IsErrConnectionFailed(err) {
		return text + ": is the daemon running, and docker.hosts right?"
	}
	return text
}

// portTaken says whether a container could not be started because another
// program has one of its ports.
func portTaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use")
}
