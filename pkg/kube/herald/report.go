package herald

import (
	"context"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/nodereport"
)

// attempts bounds how often something is written again at once because somebody else wrote meanwhile.
const attempts = 3

// reportState is what is known of the report.
type reportState struct {
	there *nodereport.Report // as the API server has it; nil: none, or it is not known
	ours  bool               // this process has written it, or would have
}

// lookAtReport reads the report. One that is not there is no error.
func (h *Herald) lookAtReport(ctx context.Context) error {
	var r nodereport.Report
	err := h.o.Client.Get(ctx, reportPath(h.o.Node), nil, &r)
	switch {
	case err == nil && h.report.there != nil && r.Metadata.ResourceVersion == h.report.there.Metadata.ResourceVersion:
		// Nobody has written it since: what was sent is kept, see writeReport.
	case err == nil:
		h.report.there = &r
	case kube.NotFound(err):
		h.report.there, err = nil, nil
	}
	return err
}

// tellReport writes the report where the one that is there says something else.
func (h *Herald) tellReport(ctx context.Context, v *view) error {
	if !v.say.Report {
		if h.report.ours {
			if err := h.o.Client.Delete(ctx, reportPath(h.o.Node)); err != nil && !kube.NotFound(err) {
				return err
			}
			h.report = reportState{}
		}
		return nil
	}
	if h.said == nil {
		return nil
	}
	h.report.ours = true
	var err error
	for range attempts {
		if h.reportStands() {
			return nil
		}
		if err = h.writeReport(ctx); !kube.Conflict(err) && (h.report.there == nil || !kube.NotFound(err)) {
			return err
		}
		if err := h.lookAtReport(ctx); err != nil { // it was changed, made or deleted by somebody else
			return err
		}
	}
	return err
}

// reportStands says whether the report that is there is right.
func (h *Herald) reportStands() bool {
	r := h.report.there
	return r != nil && r.Metadata.Labels[nodereport.ClaimLabel] == "" && len(r.Metadata.Owners) == 1 && r.Metadata.Owners[0].UID == h.node.Metadata.UID && nodereport.Compare(&r.Status, h.said) == nodereport.Same
}

func (h *Herald) writeReport(ctx context.Context) error {
	r := nodereport.Report{
		APIVersion: nodereport.APIVersion, Kind: nodereport.Kind, Status: *h.said,
		Metadata: nodereport.Metadata{
			Name: h.o.Node, Owners: []nodereport.Owner{{APIVersion: "v1", Kind: "Node", Name: h.o.Node, UID: h.node.Metadata.UID}},
		},
	}
	var written nodereport.Report
	var err error
	if there := h.report.there; there != nil {
		r.Metadata.UID, r.Metadata.ResourceVersion = there.Metadata.UID, there.Metadata.ResourceVersion
		err = h.o.Client.Replace(ctx, reportPath(h.o.Node), &r, &written)
	} else {
		err = h.o.Client.Create(ctx, reportPath(""), &r, &written)
	}
	if err != nil {
		return err
	}
	// What was sent is kept, not what came back: a CustomResourceDefinition of an older version leaves out fields that it does not know, and each comparison
	// would write them again.
	r.Metadata = written.Metadata
	h.report.there = &r
	h.log.Debug("report written", "state", string(r.Status.State))
	return nil
}
