package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Collect implements [provider.Collector]: it removes the volumes of ours that
// no container uses, as one leaves that others removed. A container of ours is
// never left behind: one that was made and not started is listed as Starting,
// and the pool stops it when it does not come up.
func (p *Provider) Collect(ctx context.Context) ([]string, error) {
	removed, errs := make([][]string, len(p.hosts)), make([]error, len(p.hosts))
	var wg sync.WaitGroup
	for i, h := range p.hosts {
		wg.Go(func() { removed[i], errs[i] = h.collect(ctx) })
	}
	wg.Wait()
	var all []string
	for _, names := range removed {
		all = append(all, names...)
	}
	return all, errors.Join(errs...)
}

// collect removes what is left on the host. A socket proxy that does not let
// volumes be listed leaves them be.
func (h *host) collect(ctx context.Context) (removed []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := h.client.VolumeList(ctx, client.VolumeListOptions{
		Filters: make(client.Filters).Add("label", labelInstance+"="+h.config.Instance).Add("dangling", "true"),
	})
	if errdefs.IsPermissionDenied(err) {
		h.log.Debug("left-over volumes cannot be listed", "error", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the volumes of %s: %w", h.name, err)
	}
	var errs []error
	for _, v := range found.Items {
		// Not left to the filter: a proxy in between may not know it. One whose
		// container is on its way is in use in a moment.
		if v.Labels[labelInstance] != h.config.Instance || h.isStarting(v.Labels[labelEngine]) {
			continue
		}
		// The daemon refuses to remove one that is in use after all.
		_, err := h.client.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		switch {
		case err == nil:
			removed = append(removed, fmt.Sprintf("the volume of %s on %s", v.Labels[labelEngine], h.name))
		case errdefs.IsNotFound(err), errdefs.IsConflict(err):
		default:
			errs = append(errs, fmt.Errorf("remove volume %s: %w", v.Name, err))
		}
	}
	return removed, errors.Join(errs...)
}
