package message

// The sentences of the HTTP API and of access: "api." and the code of a problem.
const (
	APILoginNeeded  Key = "api.login_needed"
	APIBadKey       Key = "api.bad_key"
	APIBadPassword  Key = "api.bad_password"
	APIForbidden    Key = "api.forbidden"
	APITooMany      Key = "api.rate_limited"
	APICrossOrigin  Key = "api.cross_origin"
	APIUnknownProxy Key = "api.unknown_proxy"
	APIInvalid      Key = "api.invalid"
	APIBadRequest   Key = "api.bad_request"
	APINoRoute      Key = "api.no_such_route"
	APIMethod       Key = "api.method_not_allowed"
	APITooLarge     Key = "api.too_large"
	APIMediaType    Key = "api.media_type"
	APITimeout      Key = "api.timeout"
	APIInternal     Key = "api.internal"
	APIStore        Key = "api.store_failed"
	APIDiskFull     Key = "api.disk_full"
	APINotFound     Key = "api.not_found"
	APIPassword     Key = "api.password_length"
	APIUnsupported  Key = "api.unsupported"
	APIConflict     Key = "api.conflict"
	APILocked       Key = "api.setting_locked"

	APISlotNoEngines  Key = "api.slot_no_engines"
	APISlotFull       Key = "api.slot_full"
	APISlotBusy       Key = "api.slot_busy"
	APISlotNoOfficial Key = "api.slot_no_official"
	APISlotAllTried   Key = "api.slot_all_excluded"
	APISlotQuarantine Key = "api.slot_quarantined"
	APISlotClosed     Key = "api.slot_closed"
)

var apiCatalogue = map[Key]texts{
	APILoginNeeded: {
		"This takes a login or a key.",
		"Para esto hace falta iniciar sesión o una clave.",
	},
	APIBadKey: {
		"This key is not valid: it is mistyped, has expired or was withdrawn.",
		"Esta clave no es válida: está mal escrita, ha caducado o fue retirada.",
	},
	APIBadPassword: {
		"The name or the password is wrong.",
		"El nombre o la contraseña no son correctos.",
	},
	APIForbidden: {
		"This key or user may not do that.",
		"Esta clave o este usuario no tienen permiso para hacer eso.",
	},
	APITooMany: {
		"Too many attempts: wait a moment and try again.",
		"Demasiados intentos: espera un momento y vuelve a intentarlo.",
	},
	APICrossOrigin: {
		"A page of another site made this request: it is refused.",
		"Esta petición viene de una página de otro sitio y se ha rechazado.",
	},
	APIUnknownProxy: {
		"The request came through a proxy that is not known here, so it takes a key: name the proxy in auth.trusted_proxies.",
		"La petición ha pasado por un proxy que aquí no se conoce, así que necesita una clave: indica el proxy en auth.trusted_proxies.",
	},
	APIInvalid: {
		"Something in the request is not allowed.",
		"Algo de la petición no está permitido.",
	},
	APIBadRequest: {
		"The request cannot be read.",
		"No se puede leer la petición.",
	},
	APINoRoute: {
		"There is nothing at this address.",
		"No hay nada en esta dirección.",
	},
	APIMethod: {
		"This address does not take that method.",
		"Esta dirección no admite ese método.",
	},
	APITooLarge: {
		"The request is too large.",
		"La petición es demasiado grande.",
	},
	APIMediaType: {
		"The API speaks JSON: send application/json.",
		"La API habla JSON: envía application/json.",
	},
	APITimeout: {
		"This took too long and was given up.",
		"Esto ha tardado demasiado y se ha abandonado.",
	},
	APIInternal: {
		"Something went wrong in the server: its log says what.",
		"Algo ha fallado en el servidor: su registro dice qué.",
	},
	APIStore: {
		"The database cannot be used now: the log of the server says why.",
		"Ahora no se puede usar la base de datos: el registro del servidor dice por qué.",
	},
	APIDiskFull: {
		"The disk is full: make room and try again.",
		"El disco está lleno: libera espacio y vuelve a intentarlo.",
	},
	APINotFound: {
		"There is no such thing here, or not any more.",
		"Eso no existe aquí, o ya no existe.",
	},
	APIPassword: {
		"A password has 8 to 1024 bytes.",
		"Una contraseña tiene de 8 a 1024 bytes.",
	},
	APIUnsupported: {
		"That cannot be done here.",
		"Eso no se puede hacer aquí.",
	},
	APILocked: {
		"The environment or the command line sets this: change it there.",
		"Esto lo fija el entorno o la línea de órdenes: cámbialo allí.",
	},
	APIConflict: {
		"That cannot be done now.",
		"Eso no se puede hacer ahora.",
	},
	APISlotNoEngines: {
		"No engine is ready for this.",
		"Ningún motor está listo para esto.",
	},
	APISlotFull: {
		"All slots of all engines are in use.",
		"Todas las plazas de todos los motores están ocupadas.",
	},
	APISlotBusy: {
		"The engines are busy opening other contents.",
		"Los motores están ocupados abriendo otros contenidos.",
	},
	APISlotNoOfficial: {
		"Only an official engine plays this, and there is none.",
		"Esto solo lo reproduce un motor oficial, y no hay ninguno.",
	},
	APISlotAllTried: {
		"There is no engine that was not tried already.",
		"No queda ningún motor sin probar.",
	},
	APISlotQuarantine: {
		"Engines died while this content was playing: it is kept away from the others for a while.",
		"Varios motores han caído mientras se reproducía este contenido: se mantiene lejos de los demás durante un tiempo.",
	},
	APISlotClosed: {
		"The server is shutting down.",
		"El servidor se está apagando.",
	},
}
