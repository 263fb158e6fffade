//go:build unix

// Package privilege gives up the rights of root before anything else runs.
//
// Containers of media programs are started as root and told by PUID and PGID
// whom to become, so that their files belong to a person of the host
// (https://docs.linuxserver.io/general/understanding-puid-and-pgid/). A
// container that is started as a plain user needs none of this.
package privilege

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// User is whom to become.
type User struct {
	UID, GID int
	Groups   []int // besides GID
}

// Chosen reads PUID and PGID. It is nil where neither is set; one alone counts
// for both. sockets are files that the user must be able to write, as the one of
// Docker is: where the group of one may, the user becomes a member of that group.
func Chosen(getenv func(string) string, sockets ...string) (*User, error) {
	uid, gid := getenv("PUID"), getenv("PGID")
	if uid == "" && gid == "" {
		return nil, nil //nolint:nilnil // nobody was chosen
	}
	u := &User{}
	for _, id := range []struct {
		name, text string
		number     *int
	}{{"PUID", cmp.Or(uid, gid), &u.UID}, {"PGID", cmp.Or(gid, uid), &u.GID}} {
		number, err := strconv.ParseUint(id.text, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not the number of a user or group: write one such as 1000", id.name, id.text)
		}
		*id.number = int(number)
	}
	for _, socket := range sockets {
		info, err := os.Stat(socket)
		if err != nil {
			continue // there is none to write to
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().Perm()&0o020 != 0 && int(stat.Gid) != u.GID {
			u.Groups = append(u.Groups, int(stat.Gid))
		}
	}
	return u, nil
}

// Become makes u the owner of dirs and of what is in them, and makes this
// process u's for good. A process that is not root stays as it is. It must be
// called before there are other goroutines that care.
func Become(u *User, log *slog.Logger, dirs ...string) error {
	if u == nil {
		return nil
	}
	if euid := os.Geteuid(); euid != 0 {
		if euid != u.UID {
			log.Warn("PUID is not obeyed, as only root can become somebody else", "uid", euid, "puid", u.UID)
		}
		return nil
	}
	if u.UID == 0 {
		log.Warn("runs as root, because PUID is 0")
		return nil
	}
	for _, dir := range dirs {
		if err := give(dir, u); err != nil {
			return fmt.Errorf("give %s to user %d: %w", dir, u.UID, err)
		}
	}
	if err := errors.Join(syscall.Setgroups(u.Groups), syscall.Setgid(u.GID), syscall.Setuid(u.UID)); err != nil {
		return fmt.Errorf("become user %d (add the capabilities SETUID and SETGID, or start the container with --user %d:%d and without PUID): %w", u.UID, u.UID, u.GID, err)
	}
	log.Debug("gave up the rights of root", "uid", u.UID, "gid", u.GID, "groups", u.Groups)
	return nil
}

// give changes the owner of a directory and of what is in it, where another has
// it. Links are not followed: what they point to is not ours.
func give(dir string, u *User) error {
	if filepath.Clean(dir) == "/" {
		return errors.New("it is the root of everything: name a directory of its own")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) == u.UID && int(stat.Gid) == u.GID {
			return nil
		}
		return os.Lchown(path, u.UID, u.GID)
	})
}
