//go:build unix && !linux

package official

import (
	"errors"
	"syscall"
)

// adoptOrphans says that the engine is a program for Linux.
func adoptOrphans() error {
	return errors.New("the official engine is a program for Linux: run it there, or in a container")
}

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
