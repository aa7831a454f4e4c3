package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// decideFleet gives the fleet's status.
func decideFleet(f *fleetFacts) v1.SoftphoneFleetStatus {
	status := *f.fleet.Status.DeepCopy()
	status.ObservedGeneration = f.fleet.Generation
	status.Agents, status.Lines, status.RegisteredLines, status.ReadyAgents = int32(len(f.agents)), int32(f.lines), int32(f.registered), 0
	progressing := ""
	for i := range f.agents {
		a := &f.agents[i]
		if agentReady(a) {
			status.ReadyAgents++
		} else if progressing == "" {
			progressing = fmt.Sprintf("agent %s is not ready", a.Name)
		}
	}
	c := conditionSet{&status.Conditions, f.fleet.Generation}
	if progressing != "" {
		c.set(v1.ConditionProgressing, metav1.ConditionTrue, v1.ReasonRollingOut, progressing)
	} else {
		c.set(v1.ConditionProgressing, metav1.ConditionFalse, v1.ReasonAsDesired, "every agent is as it should be")
	}
	promptsReady(f, c)
	c.write(judgeFleet(f, progressing))
	return status
}

// judgeFleet: the first row that holds wins.
func judgeFleet(f *fleetFacts, progressing string) verdict {
	for _, a := range f.agents {
		for _, c := range a.Status.Conditions {
			if c.Type == v1.ConditionStalled && c.Status == metav1.ConditionTrue {
				return stalled(c.Reason, c.Message)
			}
		}
	}
	unprompted, waits := f.prompts.holdsUp()
	switch {
	case progressing != "" && waits:
		return unprompted
	case f.unreachable > 0 && f.unreachable > f.registered+f.up:
		// One condition for thousands of lines, at once; nothing to mend in the fleet itself.
		return reconciling(metav1.ConditionFalse, v1.ReasonRegistrarUnreachable, fmt.Sprintf("%d of %d lines do not reach their registrar; the agents keep trying", f.unreachable, f.lines))
	case f.unplaced > 0:
		return reconciling(metav1.ConditionFalse, v1.ReasonPlacing, fmt.Sprintf("%d lines are about to be placed", f.unplaced))
	case progressing != "":
		return reconciling(metav1.ConditionFalse, v1.ReasonAgentNotReady, progressing)
	}
	return ready(v1.ReasonReady, "all agents run and no line waits")
}
