package cli

import (
	"encoding/json"
	"fmt"
)

type versionCommand struct {
	JSON bool `name:"json" help:"Write JSON."`
}

// Run prints the build.
func (v *versionCommand) Run(c *call) error {
	if v.JSON {
		return json.NewEncoder(c.process.Stdout).Encode(c.process.Build)
	}
	_, err := fmt.Fprintln(c.process.Stdout, c.process.Build)
	return err
}
