package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
)

// columns of the coverage table that hold for every node, each with the test that
// goes through all of them.
var columns = []struct{ name, proof string }{
	{"parsed", "account.TestEveryNodeOneByOne"},
	{"mirrored", "api/v1.TestTheTableTheTypesAndTheCRDsAgree"},
	{"validated", "account.TestEveryNodeOneByOne"},
	{"merged", "account.TestEveryNodeOneByOne"},
	{"rendered", "controllers/render.TestEveryNodeHasAFieldThatHoldsItsValue"},
	{"documented", "hack/schema.TestEveryNodeIsDocumented"},
}

// proofs names, for nodes that somebody honours, the test that fails when the node
// loses its effect. A node without one is pending.
var proofs = map[string]string{
	"title":                                "agent.TestTheTitleIsShown",
	"outboundProxy_enabled":                "agent.TestNodesShapeTheWay",
	"outboundProxy_host":                   "agent.TestNodesShapeTheWay",
	"outboundProxy_transport":              "agent.TestNodesShapeTheWay",
	"username":                             "test/interop.TestRegisterWithDigest",
	"password":                             "test/interop.TestWrongPasswordAndMended",
	"authUsername":                         "agent/call.TestNodesShapeTheCredentials",
	"host":                                 "test/interop.TestRegisterWithDigest",
	"userDisplayName":                      "agent/call.TestOutgoing",
	"userCallerId":                         "agent/call.TestOutgoing",
	"transport":                            "test/interop.TestTransportRegisters",
	"expires":                              "agent.TestNodesShapeTheRegister",
	"STUN":                                 "test/interop.TestCallsThroughTURN",
	"STUNUsername":                         "test/interop.TestCallsThroughTURN",
	"STUNPassword":                         "test/interop.TestNoRelayNoCall",
	"natTraversal":                         "agent/media.TestWhereASessionSaysItCanBeReached",
	"iceDefaultCandidateOrder":             "agent/media.TestWhereASessionSaysItCanBeReached",
	"ignoreSymmetricNat":                   "agent/media.TestWhereASessionSaysItCanBeReached",
	"sdesIncoming":                         "test/interop.TestProtectionWithBaresip",
	"sdesOutgoing":                         "test/interop.TestProtectionWithBaresip",
	"dtlsIncoming":                         "test/interop.TestProtectionWithBaresip",
	"dtlsOutgoing":                         "test/interop.TestProtectionWithBaresip",
	"allowMessage":                         "agent/call.TestTextsThatCome",
	"proxy":                                "agent.TestNodesShapeTheWay",
	"codecOrder":                           "agent/call.TestNodesShapeTheDescription",
	"codecOrder3G":                         "agent/call.TestNodesShapeTheDescription",
	"ptime":                                "agent/call.TestNodesShapeTheDescription",
	"ptime3G":                              "agent/call.TestNodesShapeTheDescription",
	"forcePtime":                           "agent/call.TestNodesShapeTheDescription",
	"forcePtime3G":                         "agent/call.TestNodesShapeTheDescription",
	"honorTheirCodecListWiFi":              "agent/call.TestNodesShapeTheDescription",
	"honorTheirCodecList3G":                "agent/call.TestNodesShapeTheDescription",
	"opusOptions.bandwidth":                "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions.complexity":               "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions.bitrate":                  "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions.fec":                      "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions.dtx":                      "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions.vbr":                      "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions.expectedPacketLoss":       "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions3G.bandwidth":              "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions3G.complexity":             "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions3G.bitrate":                "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions3G.fec":                    "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions3G.dtx":                    "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions3G.vbr":                    "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions3G.expectedPacketLoss":     "agent/call.TestOpusNodesShapeTheCodec",
	"opusOptions.class":                    "account.TestEffective",
	"opusOptions3G.class":                  "account.TestEffective",
	"dtmfOrder":                            "agent/call.TestDigitsGoByTheWayTheNodesSay",
	"dtmfAll":                              "agent/call.TestDigitsGoByTheWayTheNodesSay",
	"rfc2833NegotiateOnly8kHzClockRate":    "agent/call.TestLegacyTelephoneEvents",
	"rfc2833AdjustDurationTo8kHz":          "agent/call.TestLegacyTelephoneEvents",
	"sendAudioBack":                        "agent/call.TestNodesShapeTheMedia",
	"rtpPortRangeStart":                    "agent/call.TestNodesShapeTheMedia",
	"rtpPortRangeEnd":                      "agent/call.TestNodesShapeTheMedia",
	"listeningPort":                        "agent.TestListeningPorts",
	"networkLossCallTimeoutMs":             "agent/call.TestACallEndsSoLongAfterTheNetworkWasLost",
	"contactIP":                            "agent.TestNodesShapeTheContact",
	"forcedContact":                        "agent.TestNodesShapeTheContact",
	"keepAlive":                            "agent.TestNodesShapeTheKeepalives",
	"keepAlivePeriod":                      "agent.TestNodesShapeTheKeepalives",
	"headers":                              "agent/call.TestOutgoing",
	"icm":                                  "test/interop.TestPolicyOffMeansNoBinding",
	"requiresRegistrationForOutgoingCalls": "agent.TestALineMayCallWithoutRegistering",
	"forwardingEnabled":                    "test/interop.TestForwarding",
	"forwardingNumber":                     "test/interop.TestForwarding",
	"autoAnswerEnabled":                    "test/interop.TestDelayedAnswerRingsFirst",
	"autoAnswerTimeoutInSeconds":           "test/interop.TestDelayedAnswerRingsFirst",
	"callWaiting":                          "test/interop.TestBusyWithoutCallWaiting",
	"doNotDisturb":                         "test/interop.TestDoNotDisturb",
	"incomingRewriting":                    "test/interop.TestRulesForIncomingCalls",
	"outgoingRemoteContact":                "agent/call.TestWhoWasReached",
	"remoteContact":                        "test/interop.TestWhoCallsByAssertedIdentity",
	"rewriting":                            "test/interop.TestRewritingOnTheWire",
	"voiceMailNumber":                      "test/interop.TestWhoWeAreToOthers",
	"subscribeForVoicemail":                "test/interop.TestMessageWaiting",
	"blf":                                  "test/interop.TestBusyLampFields",
	"maxMessageBodySize":                   "agent/call.TestTextsThatCome",
	"customActionUrl":                      "agent/call.TestRewriting",
	"cth_enabled":                          "agent/call.TestRewriting",
	"cth_dialString":                       "agent/call.TestRewriting",
	"vpnStartupUrl":                        "agent.TestNodesAskForTheVPN",
	"vpnStartupPostData":                   "agent/webservice.TestServices",
	"vpnStartupContentType":                "agent/webservice.TestServices",
	"vpnStartupMethod":                     "agent/webservice.TestServices",
	"vpnStartupAuthUsername":               "agent/webservice.TestServices",
	"vpnStartupAuthPassword":               "agent/webservice.TestServices",
	"vpnStartupCustomHeaders":              "agent/webservice.TestServices",
	"vpnStartupTimeout":                    "agent/webservice.TestATimeout",
	"cloud_username":                       "agent/webservice.TestServices",
	"cloud_password":                       "agent/webservice.TestServices",
	"userCallerIdMethod":                   "test/interop.TestWhoWeAreToOthers",
}

// verifyProofs fails when a claim has no test: the test is gone, or nobody honours the node.
func verifyProofs(root string) error {
	for _, c := range columns {
		if err := exists(root, c.proof); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	for node, proof := range proofs {
		row, ok := account.Lookup(node)
		if !ok || row.Name != node {
			return fmt.Errorf("proof of %s: there is no such node", node)
		}
		if row.HonouredBy == account.Carried {
			return fmt.Errorf("proof of %s: the table says that nobody honours it", node)
		}
		if err := exists(root, proof); err != nil {
			return fmt.Errorf("proof of %s: %w", node, err)
		}
	}
	return nil
}

// exists looks for a test, written as the package's directory, a dot and its name.
func exists(root, test string) error {
	dir, name, _ := strings.Cut(test, ".")
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		return err
	}
	declared := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\(`)
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if declared.Match(content) {
			return nil
		}
	}
	return fmt.Errorf("there is no test %s in %s", name, dir)
}
