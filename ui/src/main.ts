// Where the desk begins: styles, the person's choices, the app.
import { mount } from 'svelte';
import App from './App.svelte';
import { clock } from './state/clock.svelte';
import { prefs } from './state/prefs.svelte';
import './styles/tokens.css';
import './styles/base.css';

prefs.apply();
clock.start();

// After an upgrade an old tab asks for a file that is gone: load the page anew, once.
addEventListener('vite:preloadError', (event) => {
  event.preventDefault();
  if (sessionStorage.getItem('perezvon.reloaded') === location.href) return;
  sessionStorage.setItem('perezvon.reloaded', location.href);
  location.reload();
});

const target = document.getElementById('app');
if (target) mount(App, { target });
