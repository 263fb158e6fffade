package cli

import (
	"fmt"

	"github.com/acequia-tv/acequia/internal/config"
)

type configCommand struct {
	Print     configPrint     `cmd:"" help:"Show every setting with its value and where that comes from."`
	Check     configCheck     `cmd:"" help:"Tell everything that is wrong with the settings."`
	Reference configReference `cmd:"" help:"Explain every setting."`
}

type configPrint struct {
	settingFlags
}

// Help is shown by acequia config print --help.
func (*configPrint) Help() string {
	return `
Takes the flags of acequia serve, and shows the settings that it would run with. The output is a settings file itself; secrets are masked in it.

Examples:

    acequia config print
    acequia config print --pool.min 3
    acequia config print > acequia.yaml
`
}

// Run prints the settings.
func (p *configPrint) Run(c *call) error {
	settings, err := p.load(c)
	if err != nil {
		return err
	}
	return settings.WriteYAML(c.process.Stdout)
}

type configCheck struct {
	settingFlags
	File string `arg:"" optional:"" help:"Settings file to check in place of the one that would be used."`
}

// Help is shown by acequia config check --help.
func (*configCheck) Help() string {
	return `
Loads the settings as acequia serve would, with the environment and flags, and tells all problems at once.

Examples:

    acequia config check
    acequia config check ./acequia.yaml && docker compose restart

Exit status: 0 nothing wrong, 2 something wrong.
`
}

// Run checks the settings.
func (k *configCheck) Run(c *call) error {
	if k.File != "" && k.Config != "" {
		return usageError{fmt.Errorf("name the file once: as %s, or with --config", k.File)}
	}
	if k.File != "" {
		k.Config = k.File
	}
	settings, err := k.load(c)
	if err != nil {
		return err
	}
	from := settings.File
	if from == "" {
		from = "no settings file"
	}
	_, err = fmt.Fprintf(c.process.Stdout, "%s: no problems\n", from)
	return err
}

type configReference struct {
	Format string `enum:"markdown,schema" default:"markdown" help:"markdown for people, schema for editors: the JSON schema of the settings file."`
}

// Help is shown by acequia config reference --help.
func (*configReference) Help() string {
	return `
Examples:

    acequia config reference | less
    acequia config reference --format schema > acequia.schema.json
`
}

// Run prints the reference.
func (r *configReference) Run(c *call) error {
	if r.Format == "schema" {
		return config.WriteSchema(c.process.Stdout)
	}
	return config.WriteReference(c.process.Stdout)
}
