package docker

import (
	"bytes"
	"testing"
)

func TestParseHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Host{
		"unix:///var/run/docker.sock":   {Name: "local", URL: "unix:///var/run/docker.sock"},
		"tcp://Proxy.lan:2375":          {Name: "proxy-lan", URL: "tcp://Proxy.lan:2375"},
		"nas=ssh://me@192.168.1.5:2222": {Name: "nas", URL: "ssh://me@192.168.1.5:2222"},
		"tls://host:2376":               {},
		"http://host":                   {},
		"unix://host/x":                 {},
		"ssh://-oProxyCommand=x":        {},
		"ssh://-x@host":                 {},
		"NAS=tcp://host:1":              {},
	} {
		got, err := ParseHost(text, "")
		if (err != nil) != (want == Host{}) || got != want {
			t.Errorf("ParseHost(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestOwnContainer(t *testing.T) {
	t.Parallel()
	id := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	mounts := "600 590 8:1 /var/lib/docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n" +
		"601 590 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
	if got := idsInMounts(mounts); len(got) != 1 || got[0] != id {
		t.Errorf("the ids are %q", got)
	}
	// A host that looks at its containers' files is none of them.
	if got := idsInMounts("7 1 8:1 /var/lib/docker/containers/" + id + "/mounts/shm /var/lib/docker/x rw - tmpfs shm rw\n"); got != nil {
		t.Errorf("on a host, the ids are %q", got)
	}
}

func TestSecretIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := OpenSecret(dir)
	if err != nil || len(first) < 32 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := OpenSecret(dir); err != nil || !bytes.Equal(first, again) {
		t.Errorf("opened again it is %q, %v", again, err)
	}
	other, err := OpenSecret(t.TempDir())
	if err != nil || instanceOf(other) == instanceOf(first) || tokenOf(other, "engine-1") == tokenOf(first, "engine-1") {
		t.Errorf("another installation has the same: %v", err)
	}
	if tokenOf(first, "engine-1") == tokenOf(first, "engine-2") {
		t.Error("two engines have one token")
	}
}
