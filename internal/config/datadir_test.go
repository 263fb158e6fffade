package config

import "testing"

func TestDataDir(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		container bool
		env       map[string]string
		want      string
	}{
		{"container", true, map[string]string{"HOME": "/root"}, "/config"},
		{"xdg", false, map[string]string{"HOME": "/home/ana", "XDG_DATA_HOME": "/data"}, "/data/acequia"},
		{"relative xdg is ignored", false, map[string]string{"HOME": "/home/ana", "XDG_DATA_HOME": "data"}, "/home/ana/.local/share/acequia"},
		{"home", false, map[string]string{"HOME": "/home/ana"}, "/home/ana/.local/share/acequia"},
		{"nowhere", false, nil, ""},
	} {
		got := dataDir(func(name string) string { return test.env[name] }, func(dir string) bool {
			return test.container && dir == "/config"
		})
		if got != test.want {
			t.Errorf("%s: dataDir = %q; want %q", test.name, got, test.want)
		}
	}
}
