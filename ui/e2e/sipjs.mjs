// A tab's telephone by SIP.js, a second signalling library of the web beside JsSIP, with the same deeds as far as the
// scenario tests ask for them. Runs in the page, where `SIP` and `ear` are, and leaves `telephone` there.
/* global SIP */
export function telephone() {
  const state = { session: null, registered: false, stream: null, log: [] };
  const { Inviter, Registerer, RegistererState, SessionState, UserAgent, Web } = SIP;

  function take(session) {
    state.session = session;
    session.stateChange.addListener((now) => state.log.push(now));
  }

  // SIP.js stops the tracks that it was given when a call ends: every call gets its own.
  function handlers() {
    const create = Web.defaultSessionDescriptionHandlerFactory(async () => state.stream.clone());
    return (session, options) => {
      const handler = create(session, { ...options, peerConnectionConfiguration: { iceServers: [] } });
      window.ear.listen(handler.peerConnection);
      return handler;
    };
  }

  const hold = (isHeld) =>
    new Promise((resolve, reject) => {
      const handler = state.session.sessionDescriptionHandlerOptionsReInvite;
      state.session.sessionDescriptionHandlerOptionsReInvite = { ...handler, hold: isHeld };
      const requestDelegate = {
        onAccept: () => resolve(),
        onReject: ({ message }) => reject(new Error(`refused: ${message.statusCode}`)),
      };
      state.session.invite({ requestDelegate }).catch(reject);
    });

  window.telephone = {
    async register({ credentials, hz }) {
      await window.ear.resume();
      state.stream = window.ear.microphone(hz);
      const { ws_url: server, uri, username, password } = credentials;
      const agent = new UserAgent({
        uri: UserAgent.makeURI(uri),
        transportOptions: { server },
        authorizationUsername: username,
        authorizationPassword: password,
        sessionDescriptionHandlerFactory: handlers(),
        logLevel: 'error',
        delegate: { onInvite: take },
      });
      state.agent = agent;
      await agent.start();
      const registerer = new Registerer(agent);
      registerer.stateChange.addListener((now) => (state.registered = now === RegistererState.Registered));
      await registerer.register();
    },
    async call({ to }) {
      const session = new Inviter(state.agent, UserAgent.makeURI(`sip:${to}@${state.agent.configuration.uri.host}`));
      take(session);
      await session.invite();
    },
    answer: () => state.session.accept(),
    hold: () => hold(true),
    resume: () => hold(false),
    async hang_up() {
      await (state.session.state === SessionState.Established ? state.session.bye() : state.session.cancel());
    },
    press: ({ tones }) => state.session.sessionDescriptionHandler.sendDtmf(tones, { duration: 100, interToneGap: 100 }),
    state: () => ({
      registered: state.registered,
      ringing: state.session?.state === SessionState.Initial && !(state.session instanceof Inviter),
      talking: state.session?.state === SessionState.Established,
      log: state.log,
    }),
    heard: () => window.ear.heard(),
  };
}
