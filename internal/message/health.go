package message

// The sentences about how a running server is: each says how something is, and
// its advice what to do.
const (
	HealthEnginesOK       Key = "health.engines.ok"
	HealthEnginesNone     Key = "health.engines.none"
	HealthEnginesAdvice   Key = "health.engines.advice"
	HealthProviderOK      Key = "health.provider.ok"
	HealthProviderBlind   Key = "health.provider.blind"
	HealthProviderUnready Key = "health.provider.unready"
	HealthProviderAdvice  Key = "health.provider.advice"
	HealthDatabaseOK      Key = "health.database.ok"
	HealthDatabaseMemory  Key = "health.database.memory"
	HealthDatabaseFailing Key = "health.database.failing"
	HealthDatabaseAdvice  Key = "health.database.advice"
	HealthSettingsOK      Key = "health.settings.ok"
	HealthSettingsPending Key = "health.settings.pending"
	HealthSettingsAdvice  Key = "health.settings.advice"
	HealthContentsOK      Key = "health.contents.ok"
	HealthContentsKept    Key = "health.contents.quarantined"
	HealthContentsAdvice  Key = "health.contents.advice"
	HealthAccessOK        Key = "health.access.ok"
	HealthAccessOpen      Key = "health.access.open"
	HealthAccessTrusting  Key = "health.access.trusting"
	HealthAccessAdvice    Key = "health.access.advice"
)

// The sentences of a preflight: whether a content can be played now.
const (
	PreflightPlaying  Key = "preflight.playing"
	PreflightPlayable Key = "preflight.playable"
	PreflightPlayed   Key = "preflight.played"
	PreflightFailed   Key = "preflight.failed"
	PreflightNoSlot   Key = "preflight.no_slot"
	PreflightUnknown  Key = "preflight.unknown"
)

var healthCatalogue = map[Key]texts{
	HealthEnginesOK:       {"Engines are ready to play.", "Hay motores listos para reproducir."},
	HealthEnginesNone:     {"No engine is ready: nothing can be played.", "Ningún motor está listo: no se puede reproducir nada."},
	HealthEnginesAdvice:   {"Look at the engines and their logs; the pool's plan says what happens next.", "Revisa los motores y sus registros; el plan del grupo dice qué pasará ahora."},
	HealthProviderOK:      {"Engines can be listed and started.", "Los motores se pueden listar e iniciar."},
	HealthProviderBlind:   {"The engines cannot be listed.", "No se pueden listar los motores."},
	HealthProviderUnready: {"No engine can be started now.", "Ahora no se puede iniciar ningún motor."},
	HealthProviderAdvice:  {"The reason beside this says what is missing where the engines come from.", "El motivo de al lado dice qué falta en el origen de los motores."},
	HealthDatabaseOK:      {"History, keys and changed settings are kept.", "El historial, las claves y los ajustes cambiados se guardan."},
	HealthDatabaseMemory:  {"The database could not be used at the start: nothing is kept beyond this run.", "La base de datos no se pudo usar al arrancar: nada se guarda más allá de esta ejecución."},
	HealthDatabaseFailing: {"Some history could not be kept.", "Parte del historial no se pudo guardar."},
	HealthDatabaseAdvice:  {"Look for the events that begin with store: they say why and what to do.", "Busca los sucesos que empiezan por store: dicen por qué y qué hacer."},
	HealthSettingsOK:      {"All settings count.", "Todos los ajustes están en vigor."},
	HealthSettingsPending: {"Settings were changed that count from the next start.", "Hay ajustes cambiados que valdrán desde el próximo arranque."},
	HealthSettingsAdvice:  {"Restart when nobody is watching.", "Reinicia cuando nadie esté mirando."},
	HealthContentsOK:      {"No content is kept away from the engines.", "Ningún contenido está apartado de los motores."},
	HealthContentsKept:    {"Engines died under a content: it is kept away from them for a while.", "Varios motores cayeron con un contenido: se mantiene apartado de ellos un tiempo."},
	HealthContentsAdvice:  {"Play it from another id, or wait.", "Reprodúcelo desde otro id, o espera."},
	HealthAccessOK:        {"Only those who should can reach this server.", "Solo accede a este servidor quien debe."},
	HealthAccessOpen:      {"Everybody who reaches the port can play.", "Cualquiera que llegue al puerto puede reproducir."},
	HealthAccessTrusting:  {"The trusted networks include the whole internet.", "Las redes de confianza incluyen todo internet."},
	HealthAccessAdvice:    {"Name your networks in the settings under auth.", "Indica tus redes en los ajustes de auth."},

	PreflightPlaying:  {"It is playing now: another viewer joins at once.", "Se está emitiendo ahora: otro espectador entra al instante."},
	PreflightPlayable: {"An engine delivers it now.", "Un motor lo entrega ahora mismo."},
	PreflightPlayed:   {"It played lately.", "Se reprodujo hace poco."},
	PreflightFailed:   {"It failed the last time.", "Falló la última vez."},
	PreflightNoSlot:   {"Every engine is busy, and a check takes nobody's place.", "Todos los motores están ocupados y una comprobación no le quita el sitio a nadie."},
	PreflightUnknown:  {"It was never played here: only a deep check can tell.", "Nunca se ha reproducido aquí: solo una comprobación a fondo puede decirlo."},
}
