package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// format is a rule for the form of a text.
type format struct {
	doc   string
	check func(text string) error
}

// formats are the values of the tag format.
var formats = map[string]format{
	"listen":          {"host:port to listen on", checkListen},
	"hostport":        {"host:port", checkHostPort},
	"optional_listen": {"host:port to listen on, or nothing", checkOptionalListen},
	"ip":              {"IP address", checkIP},
	"engine_url":      {"http://host:port", checkEngineURL},
	"server_url":      {"http://host:port, or nothing", checkServerURL},
	"network":         {"network, as 10.0.0.0/8, or address", checkNetwork},
	"password":        {"text of 8 to 1024 bytes", checkPassword},
	"api_key":         {"text of 16 to 1024 letters, digits and signs without blanks", checkAPIKey},
	"docker_host":     {"[name=]unix:///path, tcp://host:port, tls://host:port or ssh://user@host", checkDockerHost},
	"ports":           {"first-last", checkPorts},
	"cpus":            {"number, such as 1.5", checkCPUs},
	"variable":        {"NAME=value", checkVariable},
}

func checkListen(text string) error {
	if isDigits(text) {
		return fmt.Errorf("%q is only a port: write \":%s\"", text, text)
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not an address: write host:port, or :port for every interface", text)
	}
	return checkPort(port, 0)
}

func checkOptionalListen(text string) error {
	if text == "" {
		return nil
	}
	return checkListen(text)
}

func checkHostPort(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return fmt.Errorf("%q is not an address: write host:port, with an IPv6 address in brackets", text)
	}
	return checkPort(port, 1)
}

func checkIP(text string) error {
	if _, err := netip.ParseAddr(text); err != nil && text != "" {
		return fmt.Errorf("%q is not an IP address: write one like 127.0.0.1 or ::1", text)
	}
	return nil
}

func checkNetwork(text string) error {
	if _, err := netip.ParseAddr(text); err == nil {
		return nil
	}
	if _, err := netip.ParsePrefix(text); err != nil {
		return fmt.Errorf("%q is not a network: write one like 192.168.1.0/24 or fd00::/8, or an address", text)
	}
	return nil
}

func checkPassword(text string) error {
	if text != "" && (len(text) < 8 || len(text) > 1024) {
		return errors.New("a password has 8 to 1024 bytes")
	}
	return nil
}

func checkAPIKey(text string) error {
	if text == "" {
		return nil
	}
	if len(text) < 16 || len(text) > 1024 {
		return errors.New("a key has 16 to 1024 bytes: make one with, for example, openssl rand -hex 20")
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return errors.New("a key has no blanks and no letters beyond ASCII")
		}
	}
	return nil
}

func checkPort(text string, least int) error {
	port, err := strconv.Atoi(text)
	if err != nil || !isDigits(text) || port < least || port > 65535 {
		return fmt.Errorf("%q is not a port: write a number from %d to 65535", text, least)
	}
	return nil
}

func checkServerURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not the address of a server: write http://host:port", text)
	}
	if u.User != nil {
		// The text is not repeated, as it holds a password.
		return errors.New("the address of a server cannot carry a user name: set orchestrator.key")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q goes on after the path: write only http://host:port", text)
	}
	return nil
}

func checkEngineURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not the URL of an engine: write http://host:port", text)
	}
	if u.User != nil {
		// The text is not repeated, as it holds a password.
		return errors.New("the URL of an engine cannot carry a user name: engines have no log-in")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q goes on after the port: write only http://host:port", text)
	}
	if u.Port() == "" {
		return fmt.Errorf("%q names no port: the usual one is %s://%s:6878", text, u.Scheme, u.Host)
	}
	return checkPort(u.Port(), 1)
}

func checkDockerHost(text string) error {
	name, address, named := strings.Cut(text, "=")
	if !named || strings.Contains(name, "/") {
		address = text
	}
	u, err := url.Parse(address)
	if err == nil {
		switch u.Scheme {
		case "unix":
			if u.Host == "" && u.Path != "" {
				return nil
			}
		case "tcp", "tls", "ssh":
			if u.Hostname() != "" {
				return nil
			}
		}
	}
	return fmt.Errorf("%q is not the address of a Docker host: write unix:///var/run/docker.sock, tcp://host:2375, tls://host:2376 or ssh://user@host", text)
}

// ParsePorts reads a range of ports, "first-last"; both are 0 for "".
func ParsePorts(text string) (first, last int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		to = from
	}
	for _, port := range []string{from, to} {
		if err := checkPort(port, 1); err != nil {
			return 0, 0, err
		}
	}
	first, _ = strconv.Atoi(from)
	if last, _ = strconv.Atoi(to); last < first {
		return 0, 0, fmt.Errorf("%q ends before it begins: write it as in 26878-26977", text)
	}
	return first, last, nil
}

func checkPorts(text string) error {
	_, _, err := ParsePorts(text)
	return err
}

// ParseCPUs reads a number of processors as thousandths of a millionth of one.
func ParseCPUs(text string) (int64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1024) {
		return 0, fmt.Errorf("%q is not a number of processors: write one such as 1.5, or 0 for no limit", text)
	}
	return int64(math.Round(n * 1e9)), nil
}

func checkCPUs(text string) error {
	if text == "" {
		return nil
	}
	_, err := ParseCPUs(text)
	return err
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

func checkVariable(text string) error {
	if !variable.MatchString(text) {
		return fmt.Errorf("%q is not a variable: write NAME=value", text)
	}
	return nil
}
