package message

// The sentences. Those under "play" answer the question of a person whose
// content does not play: what is wrong, and what to do.
const (
	PlayNotFound  Key = "play.not_found"
	PlayNotNative Key = "play.not_native"
	PlayNoEngine  Key = "play.no_engine"
	PlayFull      Key = "play.full"
	PlayNoData    Key = "play.no_data"
	PlayEngine    Key = "play.engine_failed"
	PlayRefused   Key = "play.refused"
	PlayFileBusy  Key = "play.file_busy"
	PlayClosing   Key = "play.closing"
	PlayBadInput  Key = "play.bad_request"
	PlaySeekback  Key = "play.bad_seekback"
	PlayMethod    Key = "play.method"
	PlayNotLive   Key = "play.not_live"
	PlayNoSession Key = "play.no_session"
	PlayNoSegment Key = "play.no_segment"
	PlayCrowded   Key = "play.crowded"

	PlayQuarantined Key = "play.quarantined"
	PlayStopped     Key = "play.stopped"
	PlayStreams     Key = "play.stream_limit"
	PlayMemory      Key = "play.memory_limit"
)

var catalogue = map[Key]texts{
	PlayNotFound: {
		"The engines cannot find this content: the id is wrong, or nobody shares it now.",
		"Los motores no encuentran este contenido: el id es incorrecto o nadie lo comparte ahora.",
	},
	PlayNotNative: {
		"This is an AceStream content id, and only an official AceStream engine can play it: add one to the pool.",
		"Es un content id de AceStream y solo un motor AceStream oficial puede reproducirlo: añade uno al grupo de motores.",
	},
	PlayNoEngine: {
		"No engine is ready: wait a moment and try again, or look at the engines.",
		"Ningún motor está listo: espera un momento y vuelve a intentarlo, o revisa los motores.",
	},
	PlayFull: {
		"Every engine is busy: stop another channel, or allow more engines.",
		"Todos los motores están ocupados: cierra otro canal o permite más motores.",
	},
	PlayNoData: {
		"An engine took the content, but no data came in time: nobody may be sending it now.",
		"Un motor aceptó el contenido, pero no llegaron datos a tiempo: puede que nadie lo esté emitiendo ahora.",
	},
	PlayEngine: {
		"The engines failed to play this content: try again, or look at their logs.",
		"Los motores fallaron al reproducir este contenido: vuelve a intentarlo o revisa sus registros.",
	},
	PlayRefused: {
		"The engine refuses to play this content: its settings or its licence do not allow it.",
		"El motor se niega a reproducir este contenido: su configuración o su licencia no lo permiten.",
	},
	PlayFileBusy: {
		"This engine serves a file to one player at a time, and another player is using it.",
		"Este motor sirve cada archivo a un solo reproductor a la vez, y otro lo está usando.",
	},
	PlayClosing: {
		"The server is shutting down.",
		"El servidor se está apagando.",
	},
	PlayBadInput: {
		"The request is wrong.",
		"La petición no es correcta.",
	},
	PlaySeekback: {
		"The seekback parameter is wrong: write how far back to begin in seconds (600) or as a duration (10m), a week at most.",
		"El parámetro seekback no es correcto: indica cuánto retroceder en segundos (600) o como duración (10m), una semana como máximo.",
	},
	PlayMethod: {
		"Use GET or HEAD.",
		"Usa GET o HEAD.",
	},
	PlayNotLive: {
		"This content is not live, and HLS is for live content: play it from /ace/getstream.",
		"Este contenido no es en directo y HLS es solo para directos: reprodúcelo desde /ace/getstream.",
	},
	PlayNoSession: {
		"This playback is over: start it again.",
		"Esta reproducción ha terminado: vuelve a iniciarla.",
	},
	PlayNoSegment: {
		"This segment is not there: it is too old, or it never was.",
		"Este segmento no existe: es demasiado antiguo o nunca existió.",
	},
	PlayQuarantined: {
		"Engines failed while playing this content: it is kept away from them for some minutes.",
		"Varios motores fallaron mientras reproducían este contenido: se mantiene apartado de ellos unos minutos.",
	},
	PlayCrowded: {
		"Too many players are watching: close one and try again, or raise playback.max_viewers.",
		"Hay demasiados reproductores conectados: cierra uno y vuelve a intentarlo, o aumenta playback.max_viewers.",
	},
	PlayStopped: {
		"Somebody ended this playback: start it again if you want it back.",
		"Alguien ha terminado esta reproducción: vuelve a iniciarla si la quieres recuperar.",
	},
	PlayStreams: {
		"Too many channels are being watched: close one and try again, or raise playback.max_streams.",
		"Se están viendo demasiados canales: cierra uno y vuelve a intentarlo, o aumenta playback.max_streams.",
	},
	PlayMemory: {
		"There is no memory left for another channel: close one and try again, or raise playback.memory.",
		"No queda memoria para otro canal: cierra uno y vuelve a intentarlo, o aumenta playback.memory.",
	},
}
