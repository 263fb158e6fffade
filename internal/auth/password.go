package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Lengths of passwords, in bytes. The longest bounds the work of hashing one.
const (
	shortestPassword = 8
	longestPassword  = 1024
)

// The cost of argon2id: the second choice of OWASP's password storage cheat
// sheet (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html),
// which a small computer with little memory can bear.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
)

// ErrPassword says that a password is too short or too long.
var ErrPassword = fmt.Errorf("a password has %d to %d bytes", shortestPassword, longestPassword)

// HashPassword returns the hash of a password as a PHC string
// (https://github.com/P-H-C/phc-string-format). The error is [ErrPassword].
func HashPassword(password string) (string, error) {
	if len(password) < shortestPassword || len(password) > longestPassword {
		return "", ErrPassword
	}
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails
	hash := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(hash)), nil
}

// errHash says that a hash is not one of [HashPassword].
var errHash = errors.New("the stored hash of the password cannot be read: set the password again")

// CheckPassword tells whether a hash is of a password. The hash says itself
// what it cost, so that older ones stay valid.
func CheckPassword(hash, password string) (bool, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errHash
	}
	var version int
	var memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil ||
		time < 1 || threads < 1 || memory > 1<<20 || time > 100 {
		return false, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, errHash
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) == 0 {
		return false, errHash
	}
	if len(password) > longestPassword {
		return false, nil
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// NewPassword makes a password of 100 random bits that can be typed.
func NewPassword() string {
	text := strings.ToLower(rand.Text()[:20])
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:]
}

// Prefixes of secrets, by which people and secret scanners know them.
const (
	keyPrefix     = "acq_"
	sessionPrefix = "acs_"
)

// newSecret makes a secret of 130 random bits.
func newSecret(prefix string) string { return prefix + rand.Text() }

// newID makes a name for a key or session.
func newID() string { return strings.ToLower(rand.Text()[:10]) }
