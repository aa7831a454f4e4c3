package account

import "slices"

// bonusRows are nodes that shipped defaults or the product know and the document
// does not describe. They are carried through unless a row says otherwise.
var bonusRows = []section{
	{"Shipped defaults", []Row{
		{Name: "outboundProxy_port", Kind: KindIntEmpty, Range: between(0, 65535),
			Doc: "Port of the outbound proxy in shipped defaults; unused, outboundProxy_host has its own."},
		{Name: "bgrOutboundProxy_port", Kind: KindIntEmpty, Range: between(0, 65535),
			Doc: "Port of the outbound proxy in the background."},
		{Name: "bgrTransport", Kind: KindEnum, MayBeEmpty: true, FoldCase: true, Enum: transports,
			Doc: "Transport in the background."},
		{Name: "pushNAT", Kind: KindBool, Default: "1", Doc: "NAT handling of the push relay."},
		{Name: "pushVoicemail", Kind: KindBool, Default: "0", Doc: "Push for new voicemail."},
		{Name: "sendAuthenticationPreemptively", Kind: KindBool, Default: "0",
			Doc: "Send credentials before they are asked for."},
		{Name: "rememberRegistrationState", Kind: KindBool, Default: "1",
			Doc: "Keep Call-ID and CSeq of REGISTER over a restart."},
		{Name: "networkUse", Kind: KindString, Default: "auto", Doc: "Networks the account may use."},
		{Name: "symmetricNatSubstituteAddress", Kind: KindIP, MayBeEmpty: true, Default: "10.20.30.40",
			Doc: "Address written instead of an unusable one behind a symmetric NAT."},
		{Name: "outgoingRemoteContact", Kind: KindCSV, Default: "pai,to,rpid,ppi",
			Enum: []string{"pai", "to", "rpid", "ppi"}, Effect: Live, HonouredBy: ByAgent,
			Doc: "Headers that may name the called party of an outgoing call."},
		{Name: "userCallerIdMethod", Kind: KindString, Default: "from", Effect: Live, HonouredBy: ByAgent, Doc: "Header that carries userCallerId."},
		{Name: "allowToHeaderMismatch", Kind: KindBool, Default: "1", Doc: "Accept calls whose To names somebody else."},
		{Name: "ignoreRemoteUserDomain", Kind: KindBool, Default: "1", Doc: "Tell callers apart by user part alone."},
		{Name: "callWaiting", Kind: KindBool, Default: "1", Effect: Live, HonouredBy: ByAgent,
			Doc: "Take a second call while one is running; 0 answers busy."},
		{Name: "periodicRingtonePeriod", Kind: KindInt, Default: "4", Range: from(0), Doc: "Seconds between rings of a short ringtone."},
		{Name: "saveAndNotifyCallsAnsweredElseWhere", Kind: KindBool, Default: "1",
			Doc: "Keep calls that another device answered in the history."},
		{Name: "rfc2833Volume", Kind: KindInt, Default: "10", Range: between(0, 63), Effect: Live, HonouredBy: ByAgent,
			Doc: "Volume of telephone events, -dBm0."},
		{Name: "freeswitchZrtpCompatibility", Kind: KindBool, Default: "0", Doc: "Work around FreeSWITCH's ZRTP."},
		{Name: "presenceMethod", Kind: KindString, Default: "off", Doc: "How presence is published."},
		{Name: "maxMessageBodySize", Kind: KindInt, Default: "8000", Range: from(0), Effect: Live, HonouredBy: ByAgent,
			Doc: "Longest MESSAGE body, bytes, at most 65536; 0: that."},
		{Name: "genericRateCheckUrl", Kind: KindURL, Schemes: web, Doc: "Rate service."},
		{Name: "genericSmsFetchUrl", Kind: KindURL, Schemes: web, Doc: "Service that fetches text messages."},
		{Name: "genericSmsSendUrl", Kind: KindURL, Schemes: web, Doc: "Service that sends text messages."},
		{Name: "pushTokenReporterUrl", Kind: KindURL, Schemes: web, Doc: "Service that is told the push token."},
		{Name: "networkId", Kind: KindString, NoDefault: true, Doc: "Identifier of the provider's network."},
	}},
	{"Product", []Row{
		{Name: "incomingRewriting", Kind: KindSubtree, NoDefault: true, Effect: Live, HonouredBy: ByAgent,
			Doc: "Rewriting rules of incoming calls, same grammar as rewriting."},
	}},
	{"Web services", serviceRows()},
}

// A web service with prefix P is described by the nodes PUrl, PPostData and so on.
// The two services of call forwarding use an underscore and lower case instead.
var (
	camelServices = []string{"genericBalanceCheck", "genericRateCheck", "genericSmsFetch", "genericSmsSend",
		"extProv", "vpnStartup", "customAction", "pushTokenReporter"}
	lowerServices = []string{"wcb", "cth_ws"}
	// Other spellings of the lower-case parts, which the document leaves open.
	lowerSpellings = map[string][]string{
		"postdata":      {"postData", "post_data"},
		"contenttype":   {"contentType", "content_type"},
		"authusername":  {"authUsername", "auth_username"},
		"authpassword":  {"authPassword", "auth_password"},
		"customheaders": {"customHeaders", "custom_headers"},
	}
)

// serviceRows are the parts of the web services that have no row of their own.
func serviceRows() []Row {
	var rows []Row
	for _, p := range camelServices {
		for _, part := range serviceParts("PostData", "ContentType", "Method", "AuthUsername", "AuthPassword", "CustomHeaders", "Timeout") {
			if p == "vpnStartup" {
				part.Effect, part.HonouredBy = Live, ByAgent
			}
			if part.Name = p + part.Name; part.Name != "genericBalanceCheckPostData" {
				rows = append(rows, part)
			}
		}
	}
	for _, p := range lowerServices {
		for _, part := range serviceParts("postdata", "contenttype", "method", "authusername", "authpassword", "customheaders", "timeout") {
			for _, spelling := range lowerSpellings[part.Name] {
				part.Aliases = append(part.Aliases, p+"_"+spelling)
			}
			if part.Name != "method" { // wcb_method and cth_ws_method are the document's
				part.Name = p + "_" + part.Name
				rows = append(rows, part)
			}
		}
	}
	return rows
}

// serviceParts are the rows of one web service, under the names given.
func serviceParts(names ...string) []Row {
	parts := []Row{
		{Kind: KindTemplate, Doc: "Body posted to the web service; empty: nothing is posted."},
		{Kind: KindString, Default: "application/x-www-form-urlencoded", Doc: "Content type of what is posted."},
		{Kind: KindEnum, MayBeEmpty: true, Enum: httpMethods, Doc: "HTTP method; empty: POST with a body, else GET."},
		{Kind: KindString, Doc: "Name for HTTP authentication; empty: cloud_username."},
		{Kind: KindString, Secret: true, Doc: "Password for HTTP authentication; empty: cloud_password."},
		{Kind: KindTemplate, Doc: "Extra HTTP headers, one a line."},
		{Kind: KindIntEmpty, Range: from(0), Doc: "Seconds to wait for an answer."},
	}
	for i := range parts {
		parts[i].Name, parts[i].Untyped = names[i], true
	}
	return slices.Clip(parts)
}
